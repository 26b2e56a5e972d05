import { Failure } from '../kernel/errors.ts';
import { parseMediaTypes } from './media-type.ts';

/**
 * Reads `multipart/related` (RFC 2046 5.1, PS3.18 8.6) as it arrives. A delimiter is CRLF, two dashes and the boundary.
 * What has arrived is kept in one buffer; everything in front of the last bytes that could still begin a delimiter is
 * handed on at once, so a part of any size needs the memory of one chunk.
 */
export interface MultipartPart {
  /** Header names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the part. What the caller leaves unread is skipped when the next part is asked for. */
  readonly body: AsyncIterable<Buffer>;
}

export interface MultipartLimits {
  readonly partsMax: number;
  readonly partBytesMax: number;
  readonly bodyBytesMax: number;
}

/** RFC 2046 5.1.1. */
export const BOUNDARY_CHARS_MAX = 70;
/** Headers of one part, or what stands before the first: a Content-Type, a location, a length. */
export const PART_HEADER_BYTES_MAX = 8_192;

/** The boundary of a `multipart/related` Content-Type. Throws `dicom.multipart` when there is none or it is no boundary. */
export function multipartBoundary(contentType: string): string {
  const [media] = parseMediaTypes(contentType);
  const boundary = media?.parameters['boundary'] ?? '';
  if (
    media?.type !== 'multipart/related' ||
    boundary.length > BOUNDARY_CHARS_MAX ||
    !/^[\w'()+,./:=? -]*[\w'()+,./:=?-]$/.test(boundary)
  ) {
    throw malformed('the Content-Type names no usable boundary (RFC 2046 5.1.1)');
  }
  return boundary;
}

/** Gives the parts in order. Throws `dicom.multipart` for a broken body and `dicom.multipart-limit` past a limit. */
export async function* readMultipart(
  source: AsyncIterable<Uint8Array>,
  boundary: string,
  limits: MultipartLimits,
): AsyncGenerator<MultipartPart, void, undefined> {
  // The first delimiter may open the body without a line break: one is put in front.
  const input = new Input(source[Symbol.asyncIterator](), limits.bodyBytesMax);
  try {
    const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
    for await (const _ of bytesUntil(input, delimiter, PART_HEADER_BYTES_MAX));
    for (let parts = 0; await hasPart(input); parts++) {
      if (parts >= limits.partsMax) throw tooLarge(`more than ${limits.partsMax} parts`);
      const headers = await readHeaders(input);
      const body = bytesUntil(input, delimiter, limits.partBytesMax);
      yield { headers, body: { [Symbol.asyncIterator]: () => withoutEarlyEnd(body) } };
      for await (const _ of { [Symbol.asyncIterator]: () => withoutEarlyEnd(body) });
    }
  } finally {
    await input.close();
  }
}

const NOTHING = Buffer.alloc(0);

class Input {
  held: Buffer = Buffer.from('\r\n');
  private total = 0;

  constructor(
    private readonly source: AsyncIterator<Uint8Array>,
    private readonly bytesMax: number,
  ) {}

  /**
   * Waits for more bytes; throws when the body ends here. Gives what was held before, when no `delimiter` can begin in it: then what came
   * is held as it came, and a large part is not copied from end to end.
   */
  async more(delimiter?: Buffer): Promise<Buffer> {
    const next = await this.source.next();
    if (next.done) throw malformed('the body ends before its last boundary');
    const chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    this.total += chunk.length;
    if (this.total > this.bytesMax) throw tooLarge(`a body of more than ${this.bytesMax} bytes`);
    const before = this.held;
    if (delimiter && chunk.length >= delimiter.length) {
      const seam = Buffer.concat([before, chunk.subarray(0, delimiter.length - 1)]);
      if (seam.indexOf(delimiter) < 0) {
        this.held = chunk;
        return before;
      }
    }
    this.held = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
    return NOTHING;
  }

  take(length: number): Buffer {
    const taken = this.held.subarray(0, length);
    this.held = this.held.subarray(length);
    return taken;
  }

  async close(): Promise<void> {
    await this.source.return?.(undefined);
  }
}

async function* bytesUntil(
  input: Input,
  delimiter: Buffer,
  bytesMax: number,
): AsyncGenerator<Buffer, void, undefined> {
  let given = 0;
  for (;;) {
    const at = input.held.indexOf(delimiter);
    const ready = at >= 0 ? at : Math.max(0, input.held.length - delimiter.length + 1);
    given += ready;
    if (given > bytesMax) throw tooLarge(`a part of more than ${bytesMax} bytes`);
    if (ready > 0) yield input.take(ready);
    if (at >= 0) {
      input.take(delimiter.length);
      return;
    }
    const passed = await input.more(delimiter);
    given += passed.length;
    if (passed.length > 0) yield passed;
  }
}

/** After a delimiter: two dashes end the message, blanks and a line break open a part. */
async function hasPart(input: Input): Promise<boolean> {
  for (;;) {
    const line = input.held.indexOf('\r\n');
    if (input.held.length >= 2 && input.held[0] === DASH && input.held[1] === DASH) return false;
    if (line >= 0) {
      // The line break stays: it is also the first half of the empty line of a part without headers.
      if (!/^[ \t]*$/.test(input.take(line).toString('latin1')))
        throw malformed('a boundary is followed by other text');
      return true;
    }
    if (input.held.length > BOUNDARY_CHARS_MAX) throw malformed('a boundary is followed by other text');
    await input.more();
  }
}

const DASH = 0x2d;

async function readHeaders(input: Input): Promise<Record<string, string>> {
  for (;;) {
    const end = input.held.indexOf('\r\n\r\n');
    if (end > PART_HEADER_BYTES_MAX || (end < 0 && input.held.length > PART_HEADER_BYTES_MAX)) {
      throw tooLarge(`part headers of more than ${PART_HEADER_BYTES_MAX} bytes`);
    }
    if (end >= 0) {
      const text = input.take(end).toString('latin1');
      input.take(4);
      return Object.fromEntries(text.split('\r\n').filter(Boolean).map(headerLine));
    }
    await input.more();
  }
}

function headerLine(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon <= 0) throw malformed('a part has a line that is no header');
  return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
}

/** The caller's `break` must not end the generator: the rest of the part still has to be skipped. */
function withoutEarlyEnd(body: AsyncGenerator<Buffer, void, undefined>): AsyncIterator<Buffer> {
  return { next: () => body.next() };
}

function malformed(what: string): Failure {
  return new Failure('dicom.multipart', `The multipart/related message is broken: ${what}.`);
}

function tooLarge(what: string): Failure {
  return new Failure(
    'dicom.multipart-limit',
    `The multipart/related message has ${what}; send it in smaller messages.`,
  );
}
