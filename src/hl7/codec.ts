import { Failure } from '../kernel/errors.ts';
import { canonicalText, readDelimiters } from './codec/canonical.ts';
import { charsetOf, decode, encode, isWritable, type WrittenCharset } from './codec/charset.ts';
import { escapeText, unescapeText } from './codec/escapes.ts';
import { parseCanonical, printSegments, type RawSegment } from './codec/standard.ts';
import { readHeader } from './message-header.ts';

/**
 * HL7 v2 bytes ↔ typed values (chapter 2 of the standard), with hl7-standard in the middle.
 * Reading: bytes → text by MSH-18 → one dialect → hl7-standard → `Hl7Message`. Building: cells → escaped field strings →
 * hl7-standard → bytes. Numbers of segments, fields, components, subcomponents and repetitions start at 1, as in the standard.
 */

export interface ReadOptions {
  /** Name of table 0211 for messages with an empty MSH-18; UTF-8 when left out. */
  readonly defaultCharset?: string;
}

/** Reads one message. Throws `Failure` `hl7.*` for anything that cannot be read, and nothing else. */
export function readMessage(bytes: Buffer, options: ReadOptions = {}): Hl7Message {
  const header = readHeader(bytes);
  if (header === null) {
    throw new Failure('hl7.unreadable', 'The message does not start with an MSH segment.', {
      issues: [{ at: 'MSH', text: 'is missing' }],
    });
  }
  const delimiters = readDelimiters(header.fieldSeparator, header.encodingCharacters);
  const declaredCharset = charsetOf(header.repetitions(18), bytes);
  const siteDefault = options.defaultCharset ?? 'UNICODE UTF-8';
  const text = decode(bytes.subarray(header.start), declaredCharset, siteDefault);
  const toText = (escaped: string) => unescapeText(escaped, declaredCharset, siteDefault);
  const segments = parseCanonical(canonicalText(text, delimiters)).map((raw) => new Hl7Segment(raw, toText));
  return new Hl7Message(segments, header.fieldSeparator, header.encodingCharacters);
}

/** A message that was read. Reading what is not there gives '' and never throws; HL7's "delete" (`""`) stays `""`. */
export class Hl7Message {
  private byName: Map<string, Hl7Segment[]> | null = null;

  constructor(
    /** In message order. */
    readonly segments: readonly Hl7Segment[],
    private readonly fieldSeparator: string,
    private readonly encodingCharacters: string,
  ) {}

  /** The `index`th segment of that name. */
  segment(name: string, index = 1): Hl7Segment | undefined {
    return this.all(name)[index - 1];
  }

  all(name: string): readonly Hl7Segment[] {
    this.byName ??= Map.groupBy(this.segments, (segment) => segment.name);
    return this.byName.get(name) ?? NONE;
  }

  get(
    segment: string,
    index: number,
    field: number,
    component = 1,
    subcomponent = 1,
    repetition = 1,
  ): string {
    if (segment === 'MSH' && field === 1) return this.fieldSeparator;
    if (segment === 'MSH' && field === 2) return this.encodingCharacters;
    return this.segment(segment, index)?.get(field, component, subcomponent, repetition) ?? '';
  }
}

const NONE: readonly Hl7Segment[] = [];

export class Hl7Segment {
  constructor(
    private readonly raw: RawSegment,
    private readonly toText: (escaped: string) => string,
  ) {}

  get name(): string {
    return this.raw.name;
  }

  get lastField(): number {
    return this.raw.lastField;
  }

  get(field: number, component = 1, subcomponent = 1, repetition = 1): string {
    const escaped = this.raw.field(field)[repetition - 1]?.[component - 1]?.[subcomponent - 1];
    return escaped === undefined ? '' : this.toText(escaped);
  }

  /** The repetitions of a field; none when the field is empty. */
  repetitions(field: number): Hl7Repetition[] {
    return this.raw.field(field).map((components) => new Hl7Repetition(components, this.toText));
  }

  /** First repetition of a component as one text: see `Hl7Repetition.text`. */
  text(field: number, component = 1): string {
    return this.repetitions(field)[0]?.text(component) ?? '';
  }
}

export class Hl7Repetition {
  constructor(
    private readonly components: readonly (readonly string[])[],
    private readonly toText: (escaped: string) => string,
  ) {}

  get(component = 1, subcomponent = 1): string {
    const escaped = this.components[component - 1]?.[subcomponent - 1];
    return escaped === undefined ? '' : this.toText(escaped);
  }

  /** A component that should be plain text: an unescaped `&` in it ("W/&W/O CONTRAST") is put back. */
  text(component = 1): string {
    return (this.components[component - 1] ?? []).map(this.toText).join('&');
  }

  /** Number of the last component. */
  get lastComponent(): number {
    return this.components.length;
  }

  /** All of it as plain text: an unescaped `^` in it is put back too. */
  wholeText(): string {
    return this.components.map((_, at) => this.text(at + 1)).join('^');
  }
}

/** One component to write: plain text, its subcomponents, or text that already holds HL7 escapes (`\.br\`). */
export type Component =
  | string
  | { readonly subcomponents: readonly string[] }
  | { readonly formatted: string };
/** One repetition: its components, or the text of its only one. */
export type Repetition = string | readonly Component[];
export type Field = Repetition | { readonly repetitions: readonly Repetition[] };

/** One segment to write: fields by their number. MSH-1, MSH-2 and MSH-18 are written by the codec. */
export interface Row {
  readonly segment: string;
  readonly fields: Readonly<Record<number, Field | undefined>>;
}

export interface BuildOptions {
  readonly charset?: WrittenCharset;
  /** Written for letters the character set lacks; null writes them as `\X..\` of their UTF-8 bytes. */
  readonly replacement?: string | null;
  /** Some receivers want `|` after the last field, or no CR after the last segment. */
  readonly trailingSeparator?: boolean;
  readonly finalCarriageReturn?: boolean;
}

export interface BuiltMessage {
  readonly bytes: Buffer;
  /** Letters that the character set lacks and that were escaped or replaced. */
  readonly unmapped: number;
}

/** Builds one message; the first row must be MSH. Throws `hl7.unbuildable` for rows that are no segments. */
export function buildMessage(rows: readonly Row[], options: BuildOptions = {}): BuiltMessage {
  const charset = options.charset ?? 'UNICODE UTF-8';
  let unmapped = 0;
  const cell = (text: string): string => {
    const escaped = escapeText(text, charset, options.replacement ?? null);
    unmapped += escaped.unmapped;
    return escaped.text;
  };
  if (rows[0]?.segment !== 'MSH') throw new Failure('hl7.unbuildable', 'A message starts with an MSH row.');
  const segments = rows.map((row) => ({ name: row.segment, fields: fieldsOf(row, charset, cell) }));
  const lines = printSegments(segments).split('\r');
  const ended = lines.map((line) => line.replace(/\|+$/, '') + (options.trailingSeparator ? '|' : ''));
  const text = ended.join('\r') + (options.finalCarriageReturn === false ? '' : '\r');
  return { bytes: encode(text, charset), unmapped };
}

/**
 * A message that `buildMessage` built, in another character set: letters that this one lacks are escaped or replaced as there. MSH-18 stays: the bytes are for comparing and for
 * taking lines out of, not for sending.
 */
export function inCharset(bytes: Buffer, charset: WrittenCharset, replacement: string | null): Buffer {
  if (bytes.length === 0 || charsetIn(bytes) === charset) return bytes;
  const written = builtText(bytes).replace(/[\u0080-\u{10ffff}]/gu, (letter) =>
    isWritable(letter.codePointAt(0) ?? 0, charset) ? letter : escapeText(letter, charset, replacement).text,
  );
  return encode(written, charset);
}

/** The text of a message that `buildMessage` built. */
export const builtText = (bytes: Buffer): string =>
  bytes.toString(charsetIn(bytes) === 'UNICODE UTF-8' ? 'utf8' : 'latin1');

/** MSH-18, with our own delimiters: MSH-1 is the separator itself, so that field n stands at n - 1. */
const charsetIn = (bytes: Buffer): string => bytes.toString('latin1').split('\r', 1)[0]?.split('|')[17] ?? '';

/** Field strings from MSH-2, or from field 1, up to the last one given. */
function fieldsOf(row: Row, charset: WrittenCharset, cell: (text: string) => string): string[] {
  if (!/^[A-Z][A-Z0-9]{2}$/.test(row.segment)) {
    throw new Failure('hl7.unbuildable', 'A segment name is a capital letter and two capitals or digits.');
  }
  const isHeader = row.segment === 'MSH';
  const given: Record<number, Field | undefined> = isHeader ? { ...row.fields, 18: charset } : row.fields;
  const strings: string[] = isHeader ? ['^~\\&'] : [];
  const first = isHeader ? 3 : 1;
  const last = Math.max(0, ...Object.keys(given).map(Number));
  if (last > FIELDS_MAX) throw new Failure('hl7.unbuildable', `A segment has at most ${FIELDS_MAX} fields.`);
  for (let n = first; n <= last; n += 1) strings.push(fieldText(given[n] ?? '', cell));
  return strings;
}

/** The longest segment of the standard (v2.9) has fewer than 100 fields; a number beyond is a slip. */
export const FIELDS_MAX = 200;

function fieldText(field: Field, cell: (text: string) => string): string {
  const repetitions = typeof field === 'object' && 'repetitions' in field ? field.repetitions : [field];
  return repetitions.map((one) => repetitionText(one, cell)).join('~');
}

function repetitionText(repetition: Repetition, cell: (text: string) => string): string {
  const components = typeof repetition === 'string' ? [repetition] : repetition;
  return components
    .map((component) => componentText(component, cell))
    .join('^')
    .replace(/\^+$/, '');
}

function componentText(component: Component, cell: (text: string) => string): string {
  if (typeof component === 'string') return cell(component);
  if ('formatted' in component) return formattedText(component.formatted, cell);
  return component.subcomponents.map(cell).join('&').replace(/&+$/, '');
}

/** Escapes everything but the formatting commands `\.xx\`, `\H\` and `\N\`, and `\E\`, by which a backslash of the text is told from theirs. */
function formattedText(text: string, cell: (text: string) => string): string {
  return text
    .split(/(\\(?:\.[a-z]{2}[+-]?\d*|[HNE])\\)/)
    .map((part, at) => (at % 2 === 1 ? part : cell(part)))
    .join('');
}
