/**
 * The MSH segment as it stands in the bytes, before any decoding: what an acknowledgement, the choice of the
 * character set and the duplicate check need, even when the rest of the message cannot be read.
 */
export interface MessageHeader {
  /** Offset of `MSH` in the bytes; a byte order mark, a start block or blank lines may stand before it. */
  readonly start: number;
  /** MSH-1. */
  readonly fieldSeparator: string;
  /** MSH-2 as received. */
  readonly encodingCharacters: string;
  /** MSH-n as received: a Latin-1 view of the bytes, escapes untouched; '' when absent. */
  field(n: number): string;
  /** One component of the first repetition of MSH-n, as received. */
  component(n: number, component: number): string;
  /** The first component of each repetition of MSH-n, as received. */
  repetitions(n: number): readonly string[];
}

/** Reads the header; null when the bytes do not start with an MSH segment. Never throws. */
export function readHeader(bytes: Buffer): MessageHeader | null {
  const start = startOfMessage(bytes);
  if (bytes.toString('latin1', start, start + 3) !== 'MSH') return null;
  const separator = bytes.toString('latin1', start + 3, start + 4);
  if (!isDelimiter(separator)) return null;
  const fields = bytes.toString('latin1', start, endOfLine(bytes, start)).split(separator);
  const encodingCharacters = fields[1] ?? '';
  const componentSeparator = encodingCharacters[0] ?? '^';
  const repetitionSeparator = encodingCharacters[1] ?? '~';
  const field = (n: number) => (n === 1 ? separator : (fields[n - 1] ?? ''));
  const repetitions = (n: number) => field(n).split(repetitionSeparator);
  return {
    start,
    fieldSeparator: separator,
    encodingCharacters,
    field,
    component: (n, component) => (repetitions(n)[0] ?? '').split(componentSeparator)[component - 1] ?? '',
    repetitions: (n) => repetitions(n).map((one) => one.split(componentSeparator)[0] ?? ''),
  };
}

/** May this character be a delimiter? Printable ASCII that is neither letter, digit nor space. */
export function isDelimiter(character: string): boolean {
  return /^[!-/:-@[-`{-~]$/.test(character);
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** Start block, line ends and NUL: what stands before MSH when a frame or a file was cut carelessly. */
const SKIPPED_BYTES = new Set([0x00, 0x0a, 0x0b, 0x0d]);

/** Offset of the first byte that is not skipped: of MSH, or of what stands in its place. */
export function startOfMessage(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    if (SKIPPED_BYTES.has(bytes[at]!)) at += 1;
    else if (bytes.subarray(at, at + 3).equals(BOM)) at += 3;
    else break;
  }
  return at;
}

function endOfLine(bytes: Buffer, start: number): number {
  const ends = [bytes.indexOf(0x0d, start), bytes.indexOf(0x0a, start)].filter((at) => at >= 0);
  return ends.length === 0 ? bytes.length : Math.min(...ends);
}
