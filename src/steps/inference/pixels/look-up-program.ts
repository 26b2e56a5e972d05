import { type AssemblyExports, loadAssembly } from '../../../config/load-assembly.ts';
import type { PixelArray } from './pixel-image.ts';

/** What `assembly/look-up.ts` gives; places in bytes. */
interface LookUpProgram extends AssemblyExports {
  tableAt(): number;
  cellsAt(): number;
  cellsMax(): number;
  valuesAt(): number;
  lookUp(count: number, cell: number, size: number): void;
}

let kept: LookUpProgram | null = null;
/** Whose values stand in the program's memory. Tables are made once and never changed. */
let standing: PixelArray | null = null;

/**
 * `table[cell]` for every cell into `values`, part after part in the memory of a compiled program: the same loop in JavaScript is optimized by V8 within an image, but put
 * back into slow code two dozen images later, when its caller is compiled with the loop in it. `table` and `values` are of the same kind, of 1, 2 or 4 bytes; the table has a value
 * for all that a cell can hold.
 */
export function lookUpCells(cells: Uint8Array | Uint16Array, table: PixelArray, values: PixelArray): void {
  kept ??= loadAssembly<LookUpProgram>('look-up');
  const program = kept;
  const { buffer } = program.memory;
  if (standing !== table) {
    bytesOf(buffer, program.tableAt(), table.byteLength).set(
      bytesOf(table.buffer, table.byteOffset, table.byteLength),
    );
    standing = table;
  }
  const [cell, size] = [cells.BYTES_PER_ELEMENT, table.BYTES_PER_ELEMENT];
  if (table.length !== 2 ** (8 * cell) || values.length !== cells.length || values.BYTES_PER_ELEMENT !== size)
    throw new RangeError('The table has not a value for every cell, or the values another kind or number.');
  const from = bytesOf(cells.buffer, cells.byteOffset, cells.byteLength);
  const to = bytesOf(values.buffer, values.byteOffset, values.byteLength);
  const part = program.cellsMax();
  for (let at = 0; at < cells.length; at += part) {
    const count = Math.min(part, cells.length - at);
    bytesOf(buffer, program.cellsAt(), count * cell).set(from.subarray(at * cell, (at + count) * cell));
    program.lookUp(count, cell, size);
    to.set(bytesOf(buffer, program.valuesAt(), count * size), at * size);
  }
}

const bytesOf = (buffer: ArrayBufferLike, at: number, length: number): Uint8Array =>
  new Uint8Array(buffer, at, length);
