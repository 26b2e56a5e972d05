import type { IncomingMessage } from 'node:http';
import { Failure } from '../kernel/errors.ts';
import { authorizationFor, type DicomwebConnection } from './dicomweb-connection.ts';
import { openResponse } from './open-response.ts';

export interface DicomwebRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Longest time until the whole answer is here. */
  readonly timeMs: number;
  readonly answerBytesMax: number;
}

export interface DicomwebAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The answer as it arrives. Ends with `dicomweb.timeout` or `dicomweb.too-large` past a limit. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives the connection back when the body is not wanted. */
  cancel(): Promise<void>;
}

/**
 * One request. Redirects are not followed: a body would be sent again and credentials would go to whoever the server names.
 * Throws `dicomweb.unreachable`, `dicomweb.timeout`, `dicomweb.redirect`; every other status is for the caller to judge.
 */
export async function sendDicomweb(
  connection: DicomwebConnection,
  url: URL,
  request: DicomwebRequest,
): Promise<DicomwebAnswer> {
  const patience = new Patience(request.timeMs, connection.times.silenceMs);
  const authorization = authorizationFor(connection, url);
  try {
    const response = await openResponse(url, {
      method: request.method,
      headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
      signal: patience.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400) {
      response.destroy();
      throw new Failure(
        'dicomweb.redirect',
        'The PACS answers with a redirect. Set DICOMWEB_URL to the address it leads to.',
      );
    }
    return {
      status,
      headers: headersOf(response),
      body: bounded(response, patience, request.answerBytesMax),
      cancel: async () => {
        patience.end();
        response.destroy();
      },
    };
  } catch (error) {
    patience.end();
    throw lost(error, patience);
  }
}

/** What a status other than the expected ones means. 404 and 5xx may pass; 401, 403 and 406 need somebody to act. */
export function statusFailure(status: number): Failure {
  if (status === 401 || status === 403) {
    return new Failure(
      'dicomweb.unauthorized',
      `The PACS refuses our credentials (${status}). Check DICOMWEB_TOKEN or DICOMWEB_USER.`,
    );
  }
  if (status === 404 || status === 410)
    return new Failure('dicomweb.not-found', `The PACS does not have what was asked for (${status}).`);
  if (status === 406)
    return new Failure(
      'dicomweb.not-acceptable',
      'The PACS gives none of the transfer syntaxes asked for (406).',
    );
  if (status === 413) return new Failure('dicomweb.too-large', 'The PACS finds the request too large (413).');
  const retry = status >= 500 || status === 408 || status === 429;
  return new Failure('dicomweb.status', `The PACS answers with status ${status}.`, { retry });
}

/** Ends a request that takes too long as a whole or is silent for too long. */
class Patience {
  private readonly controller = new AbortController();
  private readonly whole: NodeJS.Timeout;
  private silence: NodeJS.Timeout;
  readonly signal = this.controller.signal;

  constructor(wholeMs: number, silenceMs: number) {
    this.whole = setTimeout(() => this.controller.abort(), wholeMs);
    this.silence = setTimeout(() => this.controller.abort(), silenceMs);
  }

  heard(): void {
    this.silence.refresh();
  }

  end(): void {
    clearTimeout(this.whole);
    clearTimeout(this.silence);
  }
}

async function* bounded(
  response: IncomingMessage,
  patience: Patience,
  bytesMax: number,
): AsyncGenerator<Buffer, void, undefined> {
  let total = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      patience.heard();
      total += chunk.byteLength;
      if (total > bytesMax) {
        throw new Failure('dicomweb.too-large', `The answer of the PACS is larger than ${bytesMax} bytes.`);
      }
      yield chunk;
      // What the caller did with the chunk took its time too; only the server's silence counts.
      patience.heard();
    }
  } catch (error) {
    throw lost(error, patience);
  } finally {
    patience.end();
  }
}

function headersOf({ headers }: IncomingMessage): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) all.set(name, Array.isArray(value) ? value.join(', ') : value);
  return all;
}

function lost(error: unknown, patience: Patience): unknown {
  if (error instanceof Failure) return error;
  if (patience.signal.aborted)
    return new Failure('dicomweb.timeout', 'The PACS takes too long to answer.', { cause: error });
  return new Failure(
    'dicomweb.unreachable',
    'The PACS does not answer. Check DICOMWEB_URL and the network.',
    { cause: error },
  );
}
