import { Failure } from '../../../kernel/errors.ts';

/** JSON answers: scores and measurements fit many times; a server that sends more is not the one that was meant. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Binary answers: the mask of a large volume. */
export const ANSWER_BINARY_BYTES_MAX = 1024 * 1024 * 1024;
/** Further tries of one request when the server is busy or gone; the job itself is tried again later. */
export const RETRIES_MAX = 2;
/** Wait before the first of them; doubled before the second. */
export const RETRY_FIRST_MS = 200;

export interface OipAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface OipCall {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly bytesMax: number;
  /** `performance.now()` at which the caller stops waiting. */
  readonly deadline: number;
}

/**
 * One request, tried again while the server is busy (408, 429, 502, 503, 504) or not there. An infer request changes nothing on the server,
 * so sending it twice is safe. Gives any other answer as it is. Throws `inference.timeout`, `inference.engine-unavailable`.
 */
export async function callServer(call: OipCall): Promise<OipAnswer> {
  for (let tried = 0; ; tried++) {
    const last = tried >= RETRIES_MAX;
    const waitMs = RETRY_FIRST_MS * 2 ** tried;
    const inTime = performance.now() + waitMs < call.deadline;
    try {
      const answer = await callOnce(call);
      if (!BUSY.has(answer.status)) return answer;
      if (last || !inTime)
        throw new Failure(
          'inference.engine-unavailable',
          `The inference server answered ${answer.status}, ${tried + 1} times.`,
        );
    } catch (error) {
      if (last || !inTime || !isGone(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

const BUSY: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** Refused or broken connections come as `cause` of the Failure. */
const isGone = (error: unknown): boolean =>
  error instanceof Failure && error.code === 'inference.engine-unavailable' && error.cause !== undefined;

async function callOnce({ url, headers, body, bytesMax, deadline }: OipCall): Promise<OipAnswer> {
  const leftMs = Math.max(1, Math.ceil(deadline - performance.now()));
  try {
    const response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      headers: { accept: 'application/json', ...headers },
      ...(body ? { body } : {}),
      // A redirect would carry the pixels to a host that nobody configured.
      redirect: 'error',
      signal: AbortSignal.timeout(leftMs),
    });
    return {
      status: response.status,
      headers: response.headers,
      bytes: await readBounded(response, bytesMax),
    };
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw new Failure('inference.timeout', 'The inference server did not answer within the time limit.');
    throw new Failure('inference.engine-unavailable', 'The inference server cannot be reached.', {
      cause: error,
    });
  }
}

async function readBounded(response: Response, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > bytesMax)
      throw new Failure('inference.output-invalid', `The inference server sent more than ${bytesMax} bytes.`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
