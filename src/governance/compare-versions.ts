/** Order of two semantic versions without build part (semver.org 2.0.0, clause 11): negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let i = 0; i < Math.max(left.pre.length, right.pre.length); i++) {
    const difference = comparePart(left.pre[i], right.pre[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function split(version: string): { numbers: readonly number[]; pre: readonly string[] } {
  const dash = version.indexOf('-');
  const core = dash < 0 ? version : version.slice(0, dash);
  return { numbers: core.split('.').map(Number), pre: dash < 0 ? [] : version.slice(dash + 1).split('.') };
}

/** Numbers come before words; fewer parts come before more. */
function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  const [aNumber, bNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aNumber && bNumber) return Number(a) - Number(b);
  if (aNumber !== bNumber) return aNumber ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
