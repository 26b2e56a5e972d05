import { type AssemblyExports, loadAssembly } from '../../../config/load-assembly.ts';

/** What `assembly/jpeg-lossless.ts` gives; places and lengths in bytes. */
export interface LosslessProgram extends AssemblyExports {
  tableAt(part: number): number;
  frameAt(): number;
  reserve(bytes: number): number;
  setTarget(part: number, to: number): void;
  decodeScan(
    from: number,
    end: number,
    parts: number,
    width: number,
    height: number,
    restartLines: number,
    predictor: number,
    origin: number,
    low: number,
    bytes: number,
    step: number,
    spare: number,
  ): number;
}

let kept: LosslessProgram | null = null;

/** One per thread, until its memory has grown. */
export function losslessProgram(): LosslessProgram {
  kept ??= loadAssembly<LosslessProgram>('jpeg-lossless');
  return kept;
}

/** Memory of WebAssembly never shrinks: what a large frame needed goes back with the whole instance, when its samples are no longer held. */
export function releaseLarge(program: LosslessProgram): void {
  if (program.memory.buffer.byteLength > KEPT_BYTES_MAX) kept = null;
}

/** Enough for a radiograph of 2,048 × 2,048 and its code stream. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;
