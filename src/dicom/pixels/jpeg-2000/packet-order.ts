import type { Precinct } from './tile-geometry.ts';

/** The packets of a tile as (precinct, layer) in one of the five orders of progression (ITU-T T.800 B.12). */
export function* packetOrder(
  precincts: readonly Precinct[],
  progression: number,
  layers: number,
): Generator<readonly [Precinct, number]> {
  const sorted = [...precincts].sort(ORDERS[progression]);
  const groups =
    progression === 0 ? [sorted] : progression === 1 ? byResolution(sorted) : sorted.map((one) => [one]);
  for (const group of groups) {
    for (let layer = 0; layer < layers; layer += 1) {
      for (const precinct of group) yield [precinct, layer];
    }
  }
}

type Compare = (a: Precinct, b: Precinct) => number;

const plain: Compare = (a, b) =>
  a.resolution - b.resolution || a.component - b.component || a.index - b.index;
const place: Compare = (a, b) => a.y - b.y || a.x - b.x;

/** Layer or resolution first, then resolution, component, precinct; resolution, place; place, component; component, place. */
const ORDERS: readonly Compare[] = [
  plain,
  plain,
  (a, b) => a.resolution - b.resolution || place(a, b) || plain(a, b),
  (a, b) => place(a, b) || a.component - b.component || plain(a, b),
  (a, b) => a.component - b.component || place(a, b) || plain(a, b),
];

function byResolution(sorted: readonly Precinct[]): Precinct[][] {
  const groups: Precinct[][] = [];
  for (const precinct of sorted) {
    groups[precinct.resolution] ??= [];
    groups[precinct.resolution]!.push(precinct);
  }
  return groups.filter((group) => group !== undefined);
}
