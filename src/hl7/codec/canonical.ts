import { Failure } from '../../kernel/errors.ts';
import { isDelimiter } from '../message-header.ts';
import { escapeDelimiter } from './escapes.ts';
import { isSegmentName } from './segment-names.ts';

/**
 * hl7-standard reads one dialect only: CR line ends, delimiters `|^~\&`, every line a segment with at least one `|`.
 * Everything else makes it drop lines, glue segments or throw. This file turns any readable message into that dialect.
 */

/** MSH-1 and MSH-2 taken apart; '' where the sender declared none. */
export interface Delimiters {
  readonly field: string;
  readonly component: string;
  readonly repetition: string;
  readonly escape: string;
  readonly subcomponent: string;
}

/**
 * A long radiology report has some 2,000 segments; one that is sent a line at a time may fill the frame: 12 MiB in lines of 60 characters are 209,715. Each costs the
 * door half a microsecond and its reader some 100 bytes (`SEGMENTS_STANDARD_MAX`), so this many are some 25 MB.
 */
export const SEGMENTS_MAX = 250_000;
/** Fields, components, repetitions and subcomponents of a segment, and of a message that hl7-standard takes apart: there each costs an object. */
export const CELLS_MAX = 500_000;
/**
 * Beyond these a message is no longer taken apart by hl7-standard, but segment by segment when one is read. With it each segment costs some 6 KB and 26 µs:
 * 10,000 take 60 MB and a quarter of a second, 200,000 take 1 GB and 6 s in which nothing else is answered.
 */
export const SEGMENTS_STANDARD_MAX = 10_000;

/** MSH-2 has two to five distinct characters; the fifth (truncation, v2.7) is plain data to us. */
export function readDelimiters(field: string, encodingCharacters: string): Delimiters {
  const all = [field, ...encodingCharacters];
  const good =
    all.length >= 3 &&
    all.length <= 6 &&
    all.every((one) => isDelimiter(one)) &&
    new Set(all).size === all.length;
  if (!good) {
    throw new Failure('hl7.delimiters', 'MSH-1 and MSH-2 must be distinct punctuation marks: send |^~\\&.', {
      issues: [{ at: 'MSH^1^2', text: 'does not declare usable delimiters' }],
    });
  }
  return { field, component: all[1]!, repetition: all[2]!, escape: all[3] ?? '', subcomponent: all[4] ?? '' };
}

/** `text` starts with MSH. Gives segments joined and ended by CR, in delimiters `|^~\&`. */
export function canonicalText(text: string, delimiters: Delimiters): string {
  const [first, ...rest] = text.includes('\n') ? text.split(/\r\n|\r|\n/) : text.split('\r');
  const translate = translatorOf(delimiters);
  const segments = [canonicalHeader(first!, delimiters)];
  for (const line of rest) {
    const kind = kindOfLine(line, delimiters.field);
    if (kind === 'nothing') continue;
    if (kind === 'segment') segments.push(translate(line));
    else if (kind === 'bare') segments.push(`${line}|`);
    else segments[segments.length - 1] += `${LINE_BREAK}${translate(line)}`;
    if (segments.length > SEGMENTS_MAX) throw tooLarge(`more than ${SEGMENTS_MAX} segments`);
  }
  const canonical = `${segments.join('\r')}\r`;
  // Each cell but the first of a segment has its delimiter: a short text cannot hold too many.
  const counted = segments.length <= SEGMENTS_STANDARD_MAX ? [canonical] : segments;
  if (counted.some((text) => text.length > CELLS_MAX && countCells(text) > CELLS_MAX))
    throw tooLarge(`more than ${CELLS_MAX} fields and components`);
  return canonical;
}

/** A line in delimiters `|^~\&`. */
export function translatorOf(delimiters: Delimiters): (line: string) => string {
  return isStandard(delimiters) ? (line) => line : (line) => recode(line, delimiters);
}

/** The MSH line, or its beginning, in delimiters `|^~\&`. */
export function canonicalHeader(line: string, delimiters: Delimiters): string {
  return `MSH|^~\\&|${translatorOf(delimiters)(afterEncodingCharacters(line, delimiters.field))}`;
}

/** A line break inside a field: some senders put free text in as it is. */
export const LINE_BREAK = '\\X0A\\';
const END_BLOCK = '\x1c';

export type LineKind = 'segment' | 'bare' | 'continuation' | 'nothing';

/**
 * What a line behind the MSH segment is, by itself: no line before it changes that. `bare` is a segment's name alone, `continuation` belongs to the field in which the line
 * before it ended. Throws for a second MSH segment, and for a name that is not in capital letters.
 */
export function kindOfLine(line: string, fieldSeparator: string): LineKind {
  if (isPlainSegment(line, fieldSeparator)) return 'segment';
  if (line.trim() === '' || line === END_BLOCK) return 'nothing';
  return kindOfOddLine(line, fieldSeparator);
}

/** As `kindOfOddLine` says of nearly every line, a tenth as dear: a message may have 200,000. */
function isPlainSegment(line: string, fieldSeparator: string): boolean {
  return (
    line[3] === fieldSeparator &&
    isCapital(line.charCodeAt(0)) &&
    isCapitalOrDigit(line.charCodeAt(1)) &&
    isCapitalOrDigit(line.charCodeAt(2)) &&
    !line.startsWith('MSH')
  );
}

const isCapital = (code: number) => code >= 0x41 && code <= 0x5a;
const isCapitalOrDigit = (code: number) => isCapital(code) || (code >= 0x30 && code <= 0x39);

function kindOfOddLine(line: string, fieldSeparator: string): LineKind {
  const name = line.slice(0, 3);
  const next = line[3];
  const isName = /^[A-Z][A-Z0-9]{2}$/.test(name);
  if (isName && next === undefined && isSegmentName(name)) return 'bare';
  if (next !== fieldSeparator) return 'continuation';
  if (isName && name === 'MSH') {
    throw new Failure(
      'hl7.several-messages',
      'Two MSH segments came in one frame: send one message in each.',
      {
        issues: [{ at: 'MSH^2', text: 'is a second message' }],
      },
    );
  }
  if (isName) return 'segment';
  if (/^[A-Za-z][A-Za-z0-9]{2}$/.test(name)) {
    throw new Failure(
      'hl7.segment-name',
      'A segment name is not in capital letters: send it as the standard spells it.',
    );
  }
  return 'continuation';
}

function afterEncodingCharacters(mshLine: string, fieldSeparator: string): string {
  const end = mshLine.indexOf(fieldSeparator, 4);
  return end < 0 ? '' : mshLine.slice(end + 1);
}

function isStandard(d: Delimiters): boolean {
  return d.field + d.component + d.repetition + d.escape + d.subcomponent === '|^~\\&';
}

/** Rewrites one line from foreign delimiters; what collides with ours becomes an escape sequence. */
function recode(line: string, from: Delimiters): string {
  const delimiters = new Map([
    [from.field, '|'],
    [from.component, '^'],
    [from.repetition, '~'],
    [from.subcomponent, '&'],
  ]);
  const letters: Readonly<Record<string, string>> = {
    F: from.field,
    S: from.component,
    R: from.repetition,
    E: from.escape,
    T: from.subcomponent,
  };
  let out = '';
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at]!;
    const end = character === from.escape ? line.indexOf(from.escape, at + 1) : -1;
    const sequence = end < 0 ? '' : line.slice(at + 1, end);
    if (ESCAPE_SEQUENCE.test(sequence)) {
      const plain = letters[sequence];
      out += plain === undefined ? `\\${sequence}\\` : escapeDelimiter(plain);
      at = end;
    } else {
      out += delimiters.get(character) ?? escapeDelimiter(character);
    }
  }
  return out;
}

const ESCAPE_SEQUENCE = /^(?:[FSTREHN]|[XZ][0-9A-Fa-f]+|[CM][0-9A-Fa-f]+|\.[a-z]{2}[+-]?\d*)$/;

function countCells(canonical: string): number {
  let cells = 0;
  for (let at = 0; at < canonical.length; at += 1) {
    const code = canonical.charCodeAt(at);
    // | ^ ~ & CR
    if (code === 0x7c || code === 0x5e || code === 0x7e || code === 0x26 || code === 0x0d) cells += 1;
  }
  return cells;
}

function tooLarge(what: string): Failure {
  return new Failure('hl7.too-large', `The message has ${what}: split it.`);
}
