import { type Hl7Message, type Hl7Segment, readMessage } from '../../hl7/codec.ts';
import { readHeader } from '../../hl7/message-header.ts';
import { charsetOfSender, type SenderCharsets } from '../../hl7/sender-charsets.ts';
import { SEGMENT_NAMES } from './field-names.ts';
import type { MessageTree, TreeField, TreeSegment } from './shown.ts';

export interface TreeOptions {
  /** Show patient data. */
  readonly unmask: boolean;
  /** For messages without MSH-18; left out: UTF-8. */
  readonly charsets?: SenderCharsets;
}

/** Stands for what is masked, however long it is. */
export const MASK = '•••';
/** A message of thousands of segments is looked at as a file, not on a page. */
export const SEGMENTS_SHOWN_MAX = 500;
/** No segment of the standard has a third of it. */
export const FIELDS_SHOWN_MAX = 200;
/** Of one field. Nobody reads the hundred-and-first number of a patient; a field may hold hundreds of thousands. */
export const REPETITIONS_SHOWN_MAX = 100;
/** Of all fields together: what a browser still lays out at once. */
export const VALUES_SHOWN_MAX = 20_000;
/** A PDF in OBX-5 has megabytes; nobody reads them here. */
export const VALUE_CHARS_SHOWN_MAX = 2_000;
/** No data type of the standard has more. */
const COMPONENTS_MAX = 30;

/** Bytes → tree. Never throws: what cannot be read shows its header and nothing else. */
export function messageTree(bytes: Buffer, options: TreeOptions): MessageTree {
  const message = tryRead(bytes, options.charsets);
  if (message === null) return headerOnly(bytes);
  const shown = message.segments.slice(0, SEGMENTS_SHOWN_MAX);
  const room: Room = { values: VALUES_SHOWN_MAX, isCut: message.segments.length > shown.length };
  const segments = shown.map((segment) => toSegment(segment, message, options, room));
  return { segments, more: room.isCut, unreadable: false, raw: segments.map(toLine) };
}

/** How much may still be shown, and whether something was left out. */
interface Room {
  values: number;
  isCut: boolean;
}

function tryRead(bytes: Buffer, charsets: SenderCharsets | undefined): Hl7Message | null {
  try {
    return readMessage(bytes, charsets ? { defaultCharset: charsetOfSender(charsets, bytes) } : {});
  } catch {
    return null;
  }
}

/** May this field be seen by somebody who may not see patient data? */
function isShown(segment: string, field: number): boolean {
  return Object.hasOwn(SEGMENT_NAMES, segment) && SEGMENT_NAMES[segment]?.shown.includes(field) === true;
}

function toSegment(
  segment: Hl7Segment,
  message: Hl7Message,
  { unmask }: TreeOptions,
  room: Room,
): TreeSegment {
  const names = Object.hasOwn(SEGMENT_NAMES, segment.name) ? SEGMENT_NAMES[segment.name] : undefined;
  const fields: TreeField[] = [];
  const isHeader = segment.name === 'MSH';
  if (isHeader) {
    for (const n of [1, 2])
      fields.push({ n, name: names?.fields[n] ?? '', values: [[message.get('MSH', 1, n)]], masked: false });
  }
  if (segment.lastField > FIELDS_SHOWN_MAX) room.isCut = true;
  for (let n = isHeader ? 3 : 1; n <= Math.min(segment.lastField, FIELDS_SHOWN_MAX); n += 1) {
    const all = segment.repetitions(n);
    const shown = all.slice(0, Math.min(REPETITIONS_SHOWN_MAX, room.values));
    if (shown.length < all.length) room.isCut = true;
    room.values -= shown.length;
    const values = shown.map((repetition) => {
      const components: string[] = [];
      for (let c = 1; c <= COMPONENTS_MAX; c += 1) components.push(repetition.text(c));
      while (components.length > 1 && components.at(-1) === '') components.pop();
      return components;
    });
    if (values.every((components) => components.every((one) => one === ''))) continue;
    const masked = !unmask && !isShown(segment.name, n);
    const seen = (text: string) => (masked ? maskOf(text) : cut(text));
    fields.push({ n, name: names?.fields[n] ?? '', values: values.map((parts) => parts.map(seen)), masked });
  }
  return { name: segment.name, title: names?.title ?? '', fields };
}

/** HL7's "delete this" (`""`) is no patient data, and explains what a message did. */
const maskOf = (text: string) => (text === '' || text === '""' ? text : MASK);

function cut(text: string): string {
  if (text.length <= VALUE_CHARS_SHOWN_MAX) return text;
  return `${text.slice(0, VALUE_CHARS_SHOWN_MAX)}… (${text.length} characters)`;
}

function toLine({ name, fields }: TreeSegment): string {
  const cells: string[] = [];
  for (const { n, values } of fields) {
    if (name === 'MSH' && n === 1) continue;
    cells[n - (name === 'MSH' ? 2 : 1)] = values.map((components) => components.join('^')).join('~');
  }
  return `${name}|${Array.from(cells, (cell) => cell ?? '').join('|')}`;
}

/** Of what the codec refuses the header may still be read; the rest could be anything. */
function headerOnly(bytes: Buffer): MessageTree {
  const header = readHeader(bytes);
  const names = SEGMENT_NAMES['MSH'];
  const fields: TreeField[] = [];
  for (const n of header === null ? [] : (names?.shown ?? [])) {
    const text = header?.field(n) ?? '';
    if (text !== '') fields.push({ n, name: names?.fields[n] ?? '', values: [[cut(text)]], masked: false });
  }
  const segments = fields.length === 0 ? [] : [{ name: 'MSH', title: names?.title ?? '', fields }];
  return { segments, more: true, unreadable: true, raw: [] };
}
