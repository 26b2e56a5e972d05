import type { Field } from '../../hl7/codec.ts';
import type { RisProfile } from './profile-settings.ts';

/** nHapi refuses an OBX-5 longer than 65,536 characters. */
const TEXT_CHARACTERS_MAX = 65_000;

/**
 * Text as its lines, without empty ones. A line that is longer than receivers take in one OBX-5 is several, parted between words: nothing of a text may be lost, and a message
 * that is refused for one line loses all of it.
 */
export const splitLines = (text: string): string[] =>
  text
    .split(LINE_END)
    .filter((line) => line.trim() !== '')
    .flatMap((line) => (line.length * ESCAPED_MAX <= TEXT_CHARACTERS_MAX ? [line] : parted(line)));

/** CR, LF, line and page feeds, and the line ends of Unicode. */
const LINE_END = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/;

/** OBX-2 and OBX-5 of lines of text, one for each OBX: as the profile wants text, in pieces that receivers take. */
export function textValues(
  lines: readonly string[],
  narrative: RisProfile['narrative'],
): { type: 'TX' | 'FT'; value: Field }[] {
  if (narrative === 'TX-repetitions')
    return pieces(lines).map((repetitions) => ({ type: 'TX', value: { repetitions } }));
  if (narrative === 'FT')
    return pieces(lines.map(plain)).map((piece) => ({
      type: 'FT',
      value: [{ formatted: piece.join(BREAK) }],
    }));
  return lines.map((line) => ({ type: 'TX', value: line }));
}

/** Text that looks like a command of FT is no command. */
const plain = (line: string): string => line.replaceAll('\\', '\\E\\');

const BREAK = '\\.br\\';

/** Lines that go into one OBX-5 together. */
function pieces(lines: readonly string[]): string[][] {
  const all: string[][] = [];
  let left = 0;
  for (const line of lines) {
    const length = writtenLength(line) + BREAK.length;
    if (length > left) {
      all.push([]);
      left = TEXT_CHARACTERS_MAX;
    }
    all.at(-1)?.push(line);
    left -= length;
  }
  return all;
}

/** What one UTF-16 unit can become at most: `\XE282AC\`. */
const ESCAPED_MAX = 9;

/** At most so long when it is written; only plain letters are sure to stay one character. */
const writtenLength = (text: string): number =>
  text.length + (ESCAPED_MAX - 1) * (text.match(/[^ -%'-[\]_-{}]/g)?.length ?? 0);

function parted(line: string): string[] {
  const all: string[] = [];
  let rest = line;
  while (rest.length > TEXT_CHARACTERS_MAX || writtenLength(rest) > TEXT_CHARACTERS_MAX) {
    const most = Math.floor(TEXT_CHARACTERS_MAX / ESCAPED_MAX);
    const space = rest.lastIndexOf(' ', most);
    // Never between the two halves of a letter outside the basic plane.
    const cut = space > most / 2 ? space + 1 : most + (/[\ud800-\udbff]/.test(rest[most - 1] ?? '') ? 1 : 0);
    all.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut);
  }
  return rest.trim() === '' ? all : [...all, rest];
}
