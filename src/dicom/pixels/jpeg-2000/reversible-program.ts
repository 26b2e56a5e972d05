import { type AssemblyExports, loadAssembly } from '../../../config/load-assembly.ts';

/** What `assembly/jpeg-2000.ts` gives; places and lengths in bytes. */
export interface ReversibleProgram extends AssemblyExports {
  codeAt(): number;
  codeBytesMax(): number;
  frameAt(): number;
  reserve(bytes: number): number;
  decodeBlock(
    length: number,
    width: number,
    height: number,
    planes: number,
    passes: number,
    band: number,
    to: number,
    stride: number,
  ): void;
  composeLevel(
    low: number,
    across: number,
    down: number,
    both: number,
    to: number,
    width: number,
    height: number,
    oddX: number,
    oddY: number,
    spare: number,
  ): void;
  undoColours(first: number, second: number, third: number, count: number): void;
  putSamples(
    from: number,
    to: number,
    count: number,
    bytes: number,
    step: number,
    shift: number,
    least: number,
    most: number,
  ): void;
}

let kept: ReversibleProgram | null = null;

/** One per thread, until its memory has grown. */
export function reversibleProgram(): ReversibleProgram {
  kept ??= loadAssembly<ReversibleProgram>('jpeg-2000');
  return kept;
}

/** After a trap, its memory is in an unknown state. */
export function discard(): void {
  kept = null;
}

/** Memory of WebAssembly never shrinks: what a large picture needed is given back with the whole instance. */
export function releaseLarge(program: ReversibleProgram): void {
  if (program.memory.buffer.byteLength > KEPT_BYTES_MAX) discard();
}

/** Enough for a radiograph of 2,048 × 2,048. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;
