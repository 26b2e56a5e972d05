import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

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
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const outgoing = open(url, {
      method,
      headers: { ...headers, ...(body ? { 'content-length': String(body.byteLength) } : {}) },
      signal,
    });
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
