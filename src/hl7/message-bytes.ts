/** The bytes of a message, wherever they lie. */
export interface MessageBytes {
  /** Up to `length` bytes from `offset` (0 is the first); fewer at the end only. */
  read(offset: number, length: number): Promise<Buffer>;
  includes(byte: number): Promise<boolean>;
}

/** Bytes that are looked at before anything else may run: some milliseconds of the event loop, whatever they hold. */
export const READ_BYTES = 64 * 1024;

/** A line with its end, or as much of it as was read at once. */
export interface LinePart {
  /** Offset of the part. */
  readonly at: number;
  readonly bytes: Buffer;
  /** The line begins with it. */
  readonly isStart: boolean;
  /** The line ends with it. */
  readonly isEnd: boolean;
  /** The message ends with it. */
  readonly isLast: boolean;
}

/** Of bytes that are in memory. */
export const bytesIn = (bytes: Buffer): MessageBytes => ({
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  includes: async (byte) => bytes.includes(byte),
});

/**
 * Lines from an offset on, `READ_BYTES` at a time. CR and LF end a line in each character set that is read: no letter has them as its second byte. Of CR LF the LF is
 * an empty line.
 */
export async function* linesOf(bytes: MessageBytes, start: number): AsyncGenerator<readonly LinePart[]> {
  let at = start;
  let rest: Buffer = Buffer.alloc(0);
  let isStart = true;
  for (;;) {
    const chunk = await bytes.read(at + rest.length, READ_BYTES);
    const isLast = chunk.length < READ_BYTES;
    const have = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const parts: LinePart[] = [];
    let begin = 0;
    const take = (end: number, isEnd: boolean) => {
      parts.push({
        at: at + begin,
        bytes: have.subarray(begin, end),
        isStart,
        isEnd,
        isLast: isLast && end === have.length,
      });
      isStart = isEnd;
      begin = end;
    };
    for (const end of lineEnds(have)) take(end, true);
    // What is longer than a read is given as it comes; what is shorter waits for its end.
    if (begin < have.length && (isLast || have.length - begin >= READ_BYTES)) take(have.length, isLast);
    yield parts;
    if (isLast) return;
    rest = have.subarray(begin);
    at += begin;
  }
}

/** Offsets behind each CR and LF. */
function* lineEnds(bytes: Buffer): Generator<number> {
  let cr = bytes.indexOf(0x0d);
  let lf = bytes.indexOf(0x0a);
  while (cr >= 0 || lf >= 0) {
    if (lf < 0 || (cr >= 0 && cr < lf)) {
      yield cr + 1;
      cr = bytes.indexOf(0x0d, cr + 1);
    } else {
      yield lf + 1;
      lf = bytes.indexOf(0x0a, lf + 1);
    }
  }
}
