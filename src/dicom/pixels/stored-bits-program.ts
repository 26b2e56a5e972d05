import { type AssemblyExports, loadAssembly } from '../../config/load-assembly.ts';

/** What `assembly/stored-bits.ts` gives. */
interface StoredBitsProgram extends AssemblyExports {
  cellsAt(): number;
  cellsBytesMax(): number;
  keepBits(bytes: number, mask: number): void;
}

let kept: { readonly program: StoredBitsProgram; readonly cells: Uint8Array } | null = null;

/** Keeps of every four of these bytes the bits of `mask`, in place: sixteen bytes at a time, part after part in the memory of a compiled program. */
export function keepBits(bytes: Uint8Array, mask: number): void {
  kept ??= load();
  const { program, cells } = kept;
  for (let at = 0; at < bytes.length; at += cells.length) {
    const part = bytes.subarray(at, at + cells.length);
    cells.set(part);
    program.keepBits(part.length, mask);
    bytes.set(part.length === cells.length ? cells : cells.subarray(0, part.length), at);
  }
}

/** Its memory never grows, so that one view of it is enough. */
function load(): NonNullable<typeof kept> {
  const program = loadAssembly<StoredBitsProgram>('stored-bits');
  return {
    program,
    cells: new Uint8Array(program.memory.buffer, program.cellsAt(), program.cellsBytesMax()),
  };
}
