import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';

export interface OpenRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

/**
 * One request on `node:http`, up to the headers of the answer; redirects are given as they are. Not `fetch`: the client in Node 24 ends
 * the whole process with an assertion when a server closes the connection while a slow reader has the answer paused
 * (nodejs/undici issue 5360), and Orthanc closes after every large answer.
 */
export async function openResponse(url: URL, request: OpenRequest): Promise<IncomingMessage> {
  try {
    return await send(url, request);
  } catch (error) {
    // A kept connection may have been closed by the server just before: that says nothing about the server.
    if (error instanceof StaleConnection && !request.signal.aborted) return send(url, request);
    throw error;
  }
}

class StaleConnection extends Error {}

function send(url: URL, { method, headers, body, signal }: OpenRequest): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:';
  const reader = new SocketReader();
  const options: ReadingOptions = {
    method,
    headers: { ...headers, ...(body ? { 'content-length': String(body.byteLength) } : {}) },
    signal,
    ...(secure ? {} : { onread: reader }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? httpsRequest : httpRequest)(url, options);
    outgoing.once('socket', (socket) => reader.readsFor(socket));
    outgoing.once('response', (response) => {
      // Whoever reads the body is told; an answer that nobody reads any more must not end the process.
      response.on('error', () => undefined);
      resolve(response);
    });
    // Stays for the life of the request: what comes after the headers ends the body, where it is seen.
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        outgoing.reusedSocket && error.code === 'ECONNRESET'
          ? new StaleConnection('reset', { cause: error })
          : error,
      ),
    );
    outgoing.end(body);
  });
}

/** `node:http` hands what it does not know on to the connection that it opens. */
interface ReadingOptions extends RequestOptions {
  readonly onread?: OnReadOpts;
}

/** At most so much is read from a socket at once. Unasked Node reads 64 KB; each read wakes it up and goes through all the layers above. */
const READ_BYTES = 1024 * 1024;

/**
 * Memory for what one socket gives, used again and again. Unasked, Node takes fresh memory for each read, which the HTTP parser copies once more: a series of 150 MB
 * was 300 MB of garbage, whose collection took a quarter of the processor time. The parser has its copy when `emit` returns. Of a kept connection the reader of its first request goes on.
 */
class SocketReader implements OnReadOpts {
  private socket: Socket | null = null;
  private memory: Buffer | null = null;

  readonly buffer = (): Buffer => {
    this.memory ??= Buffer.allocUnsafeSlow(READ_BYTES);
    return this.memory;
  };

  readonly callback = (bytes: number, buffer: Uint8Array): boolean => {
    this.socket?.emit('data', buffer.subarray(0, bytes));
    return true;
  };

  readsFor(socket: Socket): void {
    this.socket = socket;
  }
}
