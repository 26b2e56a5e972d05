/** Run by a pixel worker: a mask as runs, deflated. */
import { deflateRawSync } from 'node:zlib';
import { encodeMaskRuns } from '../../dicom/mask-runs.ts';
import type { OutputArray } from './engines/engine.ts';

export interface EncodedMask {
  readonly runs: Uint8Array<ArrayBuffer>;
  readonly present: readonly number[];
}

/** Runs repeat from line to line: half a second for a CT of 300 slices, and a fourth of their bytes. */
const LEVEL = 4;

export function encodeMask(mask: OutputArray): EncodedMask {
  const { runs, present } = encodeMaskRuns(mask);
  return { runs: Uint8Array.from(deflateRawSync(runs, { level: LEVEL })), present };
}
