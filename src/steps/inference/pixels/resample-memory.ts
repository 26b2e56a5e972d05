import { type AssemblyExports, loadAssembly } from '../../../config/load-assembly.ts';
import type { ResizeWeights } from './resize-weights.ts';

/** The compiled loops (`assembly/resample.ts`, where their arguments are named). */
export interface ResampleLoops extends AssemblyExports {
  base(): number;
  reserve(bytes: number): number;
  convolveRows(...numbers: number[]): void;
  convolveColumns(...numbers: number[]): void;
}

let loops: ResampleLoops | null = null;

/** Of this thread; loaded when first needed. */
export function resampleLoops(): ResampleLoops {
  loops ??= loadAssembly<ResampleLoops>('resample');
  return loops;
}

export type ResamplePlaces<Name extends string> = Readonly<Record<Name | 'taps', number>> & {
  readonly buffer: ArrayBuffer;
};

/** Addresses of parts of so many bytes in the memory of the loops, and of the taps, which are put there. They hold until the next layout. */
export function layOutResample<Name extends string>(
  { length, size, first, count, weight }: ResizeWeights,
  bytes: Readonly<Record<Name, number>>,
): ResamplePlaces<Name> {
  const { base, reserve, memory } = resampleLoops();
  const places = new Map<string, number>();
  let end = base();
  for (const [name, wanted] of Object.entries<number>({ taps: 8 * length * (1 + size), ...bytes })) {
    // Registers are 16 bytes wide.
    const at = Math.ceil(end / 16) * 16;
    places.set(name, at);
    end = at + wanted;
  }
  if (!reserve(end)) throw new RangeError('No memory for resampling.');
  const { buffer } = memory;
  const taps = places.get('taps')!;
  const firsts = new Int32Array(buffer, taps, 2 * length);
  for (let at = 0; at < length; at += 1) {
    firsts[2 * at] = first[at]!;
    firsts[2 * at + 1] = count[at]!;
  }
  new Float64Array(buffer, taps + 8 * length, length * size).set(weight);
  return { ...(Object.fromEntries(places) as Record<Name | 'taps', number>), buffer };
}
