/** One place where two messages differ; '' where one has nothing. */
export interface Difference {
  /** `OBR-18`, `OBX(3)-5.2`, or a segment such as `OBX(7)` that one of them lacks. */
  readonly at: string;
  readonly one: string;
  readonly other: string;
}

/** Field by field, where one side has components component by component. For messages written here, so with our own delimiters. */
export function compareMessages(one: string, other: string): Difference[] {
  const [first, second] = [segmentsOf(one), segmentsOf(other)];
  const keys = [...new Set([...first.keys(), ...second.keys()])];
  return keys.flatMap((key) => {
    const [a, b] = [first.get(key), second.get(key)];
    if (a === undefined || b === undefined)
      return [{ at: key, one: a?.join('|') ?? '', other: b?.join('|') ?? '' }];
    const last = Math.max(a.length, b.length);
    return Array.from({ length: last }, (_unused, n) => n).flatMap((n) => {
      // MSH-1 is the separator itself.
      const at = `${key}-${key.startsWith('MSH') ? n + 1 : n}`;
      return fieldDifferences(at, a[n] ?? '', b[n] ?? '');
    });
  });
}

function fieldDifferences(at: string, one: string, other: string): Difference[] {
  if (one === other) return [];
  const repeats = one.includes('~') || other.includes('~');
  const [a, b] = [one.split('^'), other.split('^')];
  if (repeats || a.length !== b.length || a.length === 1) return [{ at, one, other }];
  return a.flatMap((text, n) =>
    text === b[n] ? [] : [{ at: `${at}.${n + 1}`, one: text, other: b[n] ?? '' }],
  );
}

/** By name and number among those of its name; the number is left out where there is one only. */
function segmentsOf(text: string): Map<string, string[]> {
  const lines = text
    .split('\r')
    .filter((line) => line !== '')
    .map((line) => line.split('|'));
  const counts = new Map<string, number>();
  return new Map(
    lines.map((fields) => {
      const name = fields[0] ?? '';
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      return [name === 'OBX' || name === 'NTE' || count > 1 ? `${name}(${count})` : name, fields] as const;
    }),
  );
}
