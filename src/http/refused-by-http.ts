import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';

/**
 * What is refused before there is a request: a URL that cannot be decoded, headers that are too large, what is no HTTP. The answer is an OperationOutcome as
 * everywhere else. Options of Fastify.
 */
export const refusedByHttp = {
  frameworkErrors(_error: Error, _request: FastifyRequest, reply: FastifyReply): void {
    reply
      .status(400)
      .header('content-type', 'application/fhir+json; charset=utf-8')
      .send(outcomeOf('The URL cannot be read: percent-encode it as UTF-8.'));
  },
  clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
    // The connection is gone, or the answer was begun.
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const [status, text] = BY_CODE[error.code ?? ''] ?? ['400 Bad Request', 'The request is no HTTP/1.1.'];
    const body = outcomeOf(text);
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: application/fhir+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  },
};

/** By Node's codes. */
const BY_CODE: Readonly<Record<string, readonly [status: string, text: string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'URL and headers are too large together; send a long search as POST to _search.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request took too long to arrive; send it again.'],
};

const outcomeOf = (text: string): string =>
  JSON.stringify({
    resourceType: 'OperationOutcome',
    issue: [
      {
        severity: 'error',
        code: 'invalid',
        details: {
          coding: [{ system: CODE_SYSTEMS.failure, code: 'http.bad-request' }],
          text,
        },
      },
    ],
  });
