/** One place where two messages differ; '' where one has nothing. */
export interface Difference {
  /** `OBR-18`, `OBX(3)-5.2`, or a segment such as `OBX(7)` that one of them lacks; OBX and NTE by their number in the first message that has them. */
  readonly at: string;
  readonly one: string;
  readonly other: string;
}

/**
 * Field by field, where one side has components component by component. For messages written here, so with our own delimiters. A line that one message lacks moves those after it:
 * lines are laid beside those that they are most like, and OBX-1, which only counts them, is no difference.
 */
export function compareMessages(one: string, other: string): Difference[] {
  const [first, second] = [linesOf(one), linesOf(other)];
  const names = [...new Set([...first, ...second].map(([name = '']) => name))];
  return names.flatMap((name) => {
    const [a, b] = [first, second].map((all) => all.filter((line) => line[0] === name)) as [Line[], Line[]];
    const isNumbered = name === 'OBX' || name === 'NTE' || a.length > 1 || b.length > 1;
    return pairs(a, b).flatMap(([x, y]) => {
      const n = x === null ? b.indexOf(y as Line) : a.indexOf(x);
      return lineDifferences(isNumbered ? `${name}(${n + 1})` : name, x, y);
    });
  });
}

/** The fields of one segment; 0 is its name. */
type Line = string[];
type Pair = readonly [Line | null, Line | null];

const linesOf = (text: string): Line[] =>
  text
    .split('\r')
    .filter((line) => line !== '')
    .map((line) => line.split('|'));

function lineDifferences(key: string, a: Line | null, b: Line | null): Difference[] {
  if (a === null || b === null) return [{ at: key, one: a?.join('|') ?? '', other: b?.join('|') ?? '' }];
  const last = Math.max(a.length, b.length);
  return Array.from({ length: last }, (_unused, n) => n).flatMap((n) => {
    if (isCount(a, n)) return [];
    // MSH-1 is the separator itself.
    return fieldDifferences(`${key}-${a[0] === 'MSH' ? n + 1 : n}`, a[n] ?? '', b[n] ?? '');
  });
}

const isCount = ([name]: Line, n: number): boolean => n === 1 && name === 'OBX';

function fieldDifferences(at: string, one: string, other: string): Difference[] {
  if (one === other) return [];
  const repeats = one.includes('~') || other.includes('~');
  const [a, b] = [one.split('^'), other.split('^')];
  if (repeats || a.length !== b.length || a.length === 1) return [{ at, one, other }];
  return a.flatMap((text, n) =>
    text === b[n] ? [] : [{ at: `${at}.${n + 1}`, one: text, other: b[n] ?? '' }],
  );
}

/** Which line of the one is which of the other, with as few differing fields as can be: the lines of both stay in their order (an alignment as of texts). */
function pairs(a: readonly Line[], b: readonly Line[]): Pair[] {
  if (a.length * b.length > PAIRS_MAX || (a.length === 1 && b.length === 1)) return byNumber(a, b);
  const costs = costsOf(a, b);
  const at = (i: number, j: number) => costs[i]?.[j] ?? 0;
  const found: Pair[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [x, y] = [a[i] ?? null, b[j] ?? null];
    if (x !== null && y !== null && at(i, j) === at(i + 1, j + 1) + distance(x, y)) {
      found.push([x, y]);
      i += 1;
      j += 1;
    } else if (x !== null && (y === null || at(i, j) === at(i + 1, j) + ALONE)) {
      found.push([x, null]);
      i += 1;
    } else {
      found.push([null, y]);
      j += 1;
    }
  }
  return found;
}

const byNumber = (a: readonly Line[], b: readonly Line[]): Pair[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_unused, n) => [a[n] ?? null, b[n] ?? null] as const);

/** What the rest of both costs, from each pair of lines on. */
function costsOf(a: readonly Line[], b: readonly Line[]): number[][] {
  const costs = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length; i >= 0; i -= 1) {
    for (let j = b.length; j >= 0; j -= 1) {
      const [x, y] = [a[i], b[j]];
      const row = costs[i] as number[];
      if (x === undefined || y === undefined) row[j] = (a.length - i + b.length - j) * ALONE;
      else
        row[j] = Math.min(
          (costs[i + 1]?.[j + 1] ?? 0) + distance(x, y),
          (costs[i + 1]?.[j] ?? 0) + ALONE,
          (row[j + 1] ?? 0) + ALONE,
        );
    }
  }
  return costs;
}

/** Fields that differ. */
const distance = (a: Line, b: Line): number =>
  Array.from({ length: Math.max(a.length, b.length) }, (_unused, n) => n).filter(
    (n) => !isCount(a, n) && (a[n] ?? '') !== (b[n] ?? ''),
  ).length;

/** Two lines of which one is missing here and one there are worth five differing fields. */
const ALONE = 2.5;
/** 400 lines beside 400: it takes a fraction of a second. Longer messages are compared line by line. */
const PAIRS_MAX = 160_000;
