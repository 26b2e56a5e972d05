import type { RisProfile } from './profile-settings.ts';
import { FIRST_LINES, SOFTWARE_NOTE } from './report-status.ts';

/**
 * What changed since the message before, in letters (table 0085). Works on the text of two messages that were both written here, so with our own delimiters:
 * fields are compared as the receiver sees them, after every override. Lines with the same OBX-3 and OBX-4 are one result: text in several lines is
 * corrected as a whole.
 */
export interface MarkOptions {
  /** The receiver has a final: what changed since is C, the rest F. */
  readonly correction: boolean;
  /** C on every line of a correction. */
  readonly allLines: boolean;
  /** OBX-11 of results that are there no more; null leaves them out. */
  readonly withdrawn: 'D' | 'W' | null;
  readonly trailingSeparator: boolean;
}

/** The message with OBX-11 and OBX-1 as they must be, and with lines for what was withdrawn. */
export function markChanges(bytes: Buffer, previous: Buffer | null, options: MarkOptions): Buffer {
  const lines = segmentsOf(bytes);
  const before = resultsOf(previous === null ? [] : segmentsOf(previous));
  const now = resultsOf(lines);
  if (options.correction) {
    for (const [key, group] of now) {
      const changed = saidOf(group) !== saidOf(before.get(key) ?? []);
      const letter = options.allLines || changed ? 'C' : 'F';
      for (const line of group) if (line[11] === 'C') line[11] = letter;
    }
  }
  const gone = options.withdrawn === null ? [] : withdrawn(before, now, options.withdrawn);
  lines.splice(afterResults(lines), 0, ...gone);
  let count = 0;
  for (const line of lines) {
    if (line[0] !== 'OBX') continue;
    count += 1;
    line[1] = String(count);
  }
  return printed(lines, bytes, options.trailingSeparator);
}

/** Where the next line of a result goes: where none stands yet, behind the text of the result. */
function afterResults(lines: readonly Line[]): number {
  const last = lines.findLastIndex(([name]) => name === 'OBX');
  return (last >= 0 ? last : lines.findLastIndex(([name]) => name === 'NTE' || name === 'OBR')) + 1;
}

/** Do two messages say the same results? The first line of text, which says what they are worth, does not count, nor do segments that the profile adds. */
export function isSameContent(bytes: Buffer, previous: Buffer, narrative: RisProfile['narrative']): boolean {
  const [lines, linesBefore] = [segmentsOf(bytes), segmentsOf(previous)];
  const [now, before] = [resultsOf(lines), resultsOf(linesBefore)];
  if (notesOf(lines, narrative) !== notesOf(linesBefore, narrative)) return false;
  const gone = [...before].filter(([key, group]) => !now.has(key) && !group.every((one) => isGone(one)));
  return (
    gone.length === 0 && [...now].every(([key, group]) => bodyOf(group) === bodyOf(before.get(key) ?? []))
  );
}

/** Is there nothing left to take back: does every result of the message say already that it is none? */
export function isTakenBack(raw: Buffer): boolean {
  const groups = [...resultsOf(segmentsOf(raw)).values()].flat();
  return groups.length > 0 && groups.every(isNone);
}

/** The fields of one segment; 0 is its name. */
type Line = string[];

const segmentsOf = (bytes: Buffer): Line[] =>
  bytes
    .toString('latin1')
    .split('\r')
    .filter((line) => line !== '')
    .map((line) => line.split('|'));

/** By OBX-3 and OBX-4, without the study UID and the like (OBX-11 O), which are no results. */
function resultsOf(lines: readonly Line[]): Map<string, Line[]> {
  const groups = new Map<string, Line[]>();
  for (const line of lines) {
    if (line[0] !== 'OBX' || line[11] === 'O') continue;
    const key = keyOf(line);
    const group = groups.get(key);
    // Text of many lines is one group: no list is made anew for each of them.
    if (group) group.push(line);
    else groups.set(key, [line]);
  }
  return groups;
}

/**
 * What a receiver knows a line by: the code and coding system of OBX-3 (its words where it has no code), and OBX-4. The same code in other words is the same line:
 * said to be withdrawn under the old words, it would take the new ones with it.
 */
function keyOf(line: Line): string {
  const [code = '', words = '', system = ''] = (line[3] ?? '').split('^');
  return `${code === '' ? words : `${code}^${system}`}|${line[4] ?? ''}`;
}

/** Value type, code with its words, value, units, range, flag. */
const CONTENT = [2, 3, 5, 6, 7, 8] as const;

const contentOf = (group: readonly Line[]): string =>
  group.map((line) => CONTENT.map((n) => line[n] ?? '').join('|')).join('\r');

/** A line that was taken back says something else than it did. */
const saidOf = (group: readonly Line[]): string =>
  [contentOf(group), ...group.map((line) => (isNone(line) ? 'gone' : ''))].join('\r');

/** Without the words of the first line of text, which change with the status. */
const bodyOf = (group: readonly Line[]): string =>
  saidOf(group.map((line) => line.map((field, n) => (n === 5 ? withoutFirstLine(field) : field))));

/** The note on the software, and the text that a profile writes as NTE: from OBR to the first line of a result, or to that note. Notes elsewhere are the site's own. */
function notesOf(lines: readonly Line[], narrative: RisProfile['narrative']): string {
  const notes = lines.filter(isSoftwareNote);
  if (narrative === 'NTE') {
    const rest = lines.slice(lines.findIndex(([name]) => name === 'OBR') + 1);
    const end = rest.findIndex((line) => line[0] === 'OBX' || isSoftwareNote(line));
    notes.unshift(...rest.slice(0, end < 0 ? undefined : end).filter(([name]) => name === 'NTE'));
  }
  return notes.map((line) => withoutFirstLine(line[3] ?? '')).join('\r');
}

const isSoftwareNote = ([name, , , text = '']: Line): boolean =>
  name === 'NTE' && text.startsWith(SOFTWARE_NOTE);

/** Only the very words: a report may begin a line of its own with `AI RESULT`. */
function withoutFirstLine(text: string): string {
  const first = FIRST_LINES.find((one) => text.startsWith(one));
  return first === undefined ? text : text.slice(first.length);
}

const isGone = (line: Line): boolean => line[11] === 'D' || line[11] === 'W';

/** Or there will be no result. */
const isNone = (line: Line): boolean => isGone(line) || line[11] === 'X';

/** Once withdrawn, a line is said so in every later message: a receiver that missed one is right with the next. */
const withdrawn = (
  before: ReadonlyMap<string, Line[]>,
  now: ReadonlyMap<string, Line[]>,
  letter: 'D' | 'W',
): Line[] =>
  [...before]
    .filter(([key]) => !now.has(key))
    .flatMap(([, group]) => group.map((line) => line.map((field, n) => (n === 11 ? letter : field))));

function printed(lines: readonly Line[], like: Buffer, trailingSeparator: boolean): Buffer {
  const ended = lines.map((line) => line.join('|').replace(/\|+$/, '') + (trailingSeparator ? '|' : ''));
  return Buffer.from(ended.join('\r') + (like.at(-1) === 0x0d ? '\r' : ''), 'latin1');
}
