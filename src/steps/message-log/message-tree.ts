import type { Hl7Segment } from '../../hl7/codec.ts';
import { type MessageBytes, READ_BYTES } from '../../hl7/message-bytes.ts';
import { readHeader } from '../../hl7/message-header.ts';
import { type MessagePiece, readPiece } from '../../hl7/read-piece.ts';
import type { SenderCharsets } from '../../hl7/sender-charsets.ts';
import { Failure } from '../../kernel/errors.ts';
import { SEGMENT_NAMES } from './field-names.ts';
import type { MessageTree, TreeField, TreeSegment } from './shown.ts';

export interface TreeOptions {
  /** Show patient data. */
  readonly unmask: boolean;
  /** For messages without MSH-18; left out: UTF-8. */
  readonly charsets?: SenderCharsets;
  /** Where to begin; left out: at the first segment. */
  readonly from?: TreePlace;
}

/** Where a part of a message begins. */
export interface TreePlace {
  /** In bytes. */
  readonly offset: number;
  /** Number of the segment there, as far as it is known to who asks: it is shown, nothing else. */
  readonly segment: number;
}

/** Stands for what is masked, however long it is. */
export const MASK = '•••';
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

/**
 * Bytes → tree, a part of the message at a time; what is masked depends on segment and field alone, in each part alike. Throws `http.bad-request` where no part begins at `from`, and
 * nothing else of the message: of what cannot be read the header is shown and nothing else.
 */
export async function messageTree(bytes: MessageBytes, options: TreeOptions): Promise<MessageTree> {
  const from = options.from ?? { offset: 0, segment: 1 };
  const piece = await tryRead(bytes, from.offset, options);
  if (piece === null)
    return from.offset === 0 ? headerOnly(await bytes.read(0, READ_BYTES)) : nothingOf(from);
  const room: Room = { values: VALUES_SHOWN_MAX, isCut: false };
  const segments = piece.message.segments.map((segment) => toSegment(segment, piece, options, room));
  const next = piece.next === null ? null : placeText(piece.next, from.segment + segments.length);
  return {
    first: from.segment,
    segments,
    next,
    more: room.isCut,
    unreadable: false,
    raw: segments.map(toLine),
  };
}

const placeText = (offset: number, segment: number): string => `${offset}.${segment}`;

/** The `next` of a tree; null for what is none. */
export function readPlace(text: string): TreePlace | null {
  const [, offset, segment] = /^(\d{1,9})\.(\d{1,9})$/.exec(text) ?? [];
  return offset === undefined || segment === undefined || Number(offset) === 0
    ? null
    : { offset: Number(offset), segment: Number(segment) };
}

/** How much may still be shown, and whether something was left out. */
interface Room {
  values: number;
  isCut: boolean;
}

async function tryRead(
  bytes: MessageBytes,
  from: number,
  { charsets }: TreeOptions,
): Promise<MessagePiece | null> {
  try {
    return await readPiece(bytes, from, charsets);
  } catch (error) {
    if (error instanceof Failure && error.code.startsWith('hl7.') && error.code !== 'hl7.unknown-message')
      return null;
    throw error;
  }
}

/** May this field be seen by somebody who may not see patient data? */
function isShown(segment: string, field: number): boolean {
  return Object.hasOwn(SEGMENT_NAMES, segment) && SEGMENT_NAMES[segment]?.shown.includes(field) === true;
}

function toSegment(
  segment: Hl7Segment,
  { message, cut: cuts }: MessagePiece,
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
  const lengths = cuts.get(segment);
  if (segment.lastField > FIELDS_SHOWN_MAX || lengths?.size) room.isCut = true;
  for (let n = isHeader ? 3 : 1; n <= Math.min(segment.lastField, FIELDS_SHOWN_MAX); n += 1) {
    const all = segment.repetitions(n);
    const shown = all.slice(0, Math.min(REPETITIONS_SHOWN_MAX, room.values));
    if (shown.length < all.length) room.isCut = true;
    room.values -= shown.length;
    const values = shown.map((repetition) => {
      const components: string[] = [];
      const last = Math.min(COMPONENTS_MAX, Math.max(1, repetition.lastComponent));
      for (let c = 1; c <= last; c += 1) components.push(repetition.text(c));
      while (components.length > 1 && components.at(-1) === '') components.pop();
      return components;
    });
    if (values.every((components) => components.every((one) => one === ''))) continue;
    const masked = !unmask && !isShown(segment.name, n);
    const seen = (text: string) => (masked ? maskOf(text) : cut(text, lengths?.get(n)));
    fields.push({ n, name: names?.fields[n] ?? '', values: values.map((parts) => parts.map(seen)), masked });
  }
  return { name: segment.name, title: names?.title ?? '', fields };
}

/** HL7's "delete this" (`""`) is no patient data, and explains what a message did. */
const maskOf = (text: string) => (text === '' || text === '""' ? text : MASK);

/** `fieldLength`: characters of the whole field, where only its beginning is there. */
function cut(text: string, fieldLength?: number): string {
  if (text.length <= VALUE_CHARS_SHOWN_MAX) return text;
  const length =
    fieldLength === undefined ? `${text.length} characters` : `${fieldLength} characters in the field`;
  return `${text.slice(0, VALUE_CHARS_SHOWN_MAX)}… (${length})`;
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
  return { first: 1, segments, next: null, more: true, unreadable: true, raw: [] };
}

const nothingOf = ({ segment }: TreePlace): MessageTree => ({
  first: segment,
  segments: [],
  next: null,
  more: true,
  unreadable: true,
  raw: [],
});
