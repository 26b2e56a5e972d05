import { Failure } from '../kernel/errors.ts';
import {
  canonicalHeader,
  type Delimiters,
  kindOfLine,
  LINE_BREAK,
  type LineKind,
  readDelimiters,
  translatorOf,
} from './codec/canonical.ts';
import { charsetOf, decoderOfParts, ESC, maySwitch } from './codec/charset.ts';
import { unescapeText } from './codec/escapes.ts';
import { KeptSegment } from './codec/kept-segment.ts';
import { readLater } from './codec/standard.ts';
import { Hl7Message, Hl7Segment } from './codec.ts';
import { type LinePart, linesOf, type MessageBytes, READ_BYTES } from './message-bytes.ts';
import { type MessageHeader, readHeader } from './message-header.ts';
import type { SenderCharsets } from './sender-charsets.ts';

/**
 * Some segments of a message, at the cost of these: what a person looks at of a message of any size. Segments, fields and texts are those of `readMessage`, but for very
 * long fields, of which the beginning is there. A line says by itself whether it begins a segment, so a piece that begins with a segment reads as it does in the whole.
 */
export interface MessagePiece {
  readonly message: Hl7Message;
  /** Offset in bytes of the segment that follows; null after the last one. */
  readonly next: number | null;
  /** Of which only the beginning is there: field → characters it has, escaped. */
  readonly cut: ReadonlyMap<Hl7Segment, ReadonlyMap<number, number>>;
}

/** Segments of one piece. */
export const PIECE_SEGMENTS_MAX = 500;

/**
 * The piece that begins at `from`: 0, or the `next` of the one before. It ends before the segment that begins `READ_BYTES` or `PIECE_SEGMENTS_MAX` segments later; a segment that is longer is
 * read to its end, `READ_BYTES` at a time. Throws `Failure` `hl7.*` for what cannot be read, and `http.bad-request` where no segment begins at `from`.
 */
export async function readPiece(
  bytes: MessageBytes,
  from = 0,
  charsets: SenderCharsets = inUtf8,
): Promise<MessagePiece> {
  const header = readHeader(await bytes.read(0, READ_BYTES));
  if (header === null)
    throw new Failure('hl7.unreadable', 'The message does not start with an MSH segment.', {
      issues: [{ at: 'MSH', text: 'is missing' }],
    });
  const isFirst = from === 0;
  if (!isFirst) await demandLineStart(bytes, from);
  const form = await formOf(header, bytes, charsets(header));
  const gathering = new Gathering(form, isFirst);
  const start = isFirst ? header.start : from;
  let next: number | null = null;
  read: for await (const parts of linesOf(bytes, start)) {
    for (const part of parts) {
      const isEnough = part.at - start >= READ_BYTES || gathering.kept.length >= PIECE_SEGMENTS_MAX;
      if (gathering.take(part, isEnough)) continue;
      next = part.at;
      break read;
    }
  }
  const segments = readLater(gathering.kept.map(({ text }) => text)).map(
    (raw) => new Hl7Segment(raw, form.toText),
  );
  const cut = new Map(segments.map((segment, at) => [segment, gathering.kept[at]!.cut] as const));
  return { message: new Hl7Message(segments, header.fieldSeparator, header.encodingCharacters), next, cut };
}

const inUtf8: SenderCharsets = () => 'UNICODE UTF-8';

/** Nobody reads from the middle of a line: its text would be taken for the fields of another segment. */
async function demandLineStart(bytes: MessageBytes, from: number): Promise<void> {
  const [before] = await bytes.read(from - 1, 1);
  if (before !== 0x0d && before !== 0x0a) throw notAPiece();
}

const notAPiece = (): Failure =>
  new Failure('http.bad-request', 'from must be the "next" of the part before.');

/** How the bytes of a message are read. */
interface Form {
  readonly delimiters: Delimiters;
  readonly decode: (bytes: Buffer, isLast: boolean) => string;
  readonly translate: (line: string) => string;
  readonly toText: (escaped: string) => string;
}

async function formOf(header: MessageHeader, bytes: MessageBytes, siteDefault: string): Promise<Form> {
  const delimiters = readDelimiters(header.fieldSeparator, header.encodingCharacters);
  const repetitions = header.repetitions(18);
  const switches = maySwitch(repetitions) && (await bytes.includes(ESC));
  const charset = charsetOf(repetitions, { includes: () => switches });
  return {
    delimiters,
    decode: decoderOfParts(charset, siteDefault),
    translate: translatorOf(delimiters),
    toText: (escaped) => unescapeText(escaped, charset, siteDefault),
  };
}

/** Lines → segments, as `canonicalText` puts them together. */
class Gathering {
  readonly kept: KeptSegment[] = [];
  private kind: LineKind = 'nothing';
  private isBegun = false;

  constructor(
    private readonly form: Form,
    private readonly isFirst: boolean,
  ) {}

  /** False for a part that begins another segment where there are enough: it is left to the next piece. */
  take(part: LinePart, isEnough: boolean): boolean {
    const text = this.form.decode(part.bytes, part.isLast).replace(/[\r\n]$/, '');
    if (!part.isStart) {
      if (this.kind !== 'nothing') this.kept.at(-1)?.add(this.form.translate(text));
      return true;
    }
    if (this.isFirst && !this.isBegun)
      return this.begin('segment', canonicalHeader(text, this.form.delimiters));
    this.kind = kindOfLine(text, this.form.delimiters.field);
    // Of a line of which more is to come the beginning alone may be blank.
    if (this.kind === 'nothing' && !part.isEnd) this.kind = 'continuation';
    if (this.kind === 'nothing') return true;
    if (this.kind === 'continuation') {
      if (!this.isBegun) throw notAPiece();
      this.kept.at(-1)?.add(LINE_BREAK + this.form.translate(text));
      return true;
    }
    if (isEnough) return false;
    return this.begin(this.kind, this.kind === 'bare' ? `${text}|` : this.form.translate(text));
  }

  private begin(kind: LineKind, text: string): true {
    this.kind = kind;
    this.isBegun = true;
    const segment = new KeptSegment();
    segment.add(text);
    this.kept.push(segment);
    return true;
  }
}
