import type { StoredValues } from './stored-values.ts';

/** Colour plane after colour plane → pixel after pixel, in place. */
export function interleave(values: StoredValues, components: number): void {
  const planes = values.slice();
  const pixels = planes.length / components;
  for (let component = 0; component < components; component += 1) {
    for (let at = 0; at < pixels; at += 1)
      values[at * components + component] = planes[component * pixels + at] ?? 0;
  }
}
