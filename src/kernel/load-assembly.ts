import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What every compiled program of ours gives: its memory, and functions over it that take and give numbers. */
export interface AssemblyExports {
  readonly memory: WebAssembly.Memory;
  readonly [name: string]: WebAssembly.ExportValue;
}

const compiled = new Map<string, WebAssembly.Module>();

/**
 * A new instance, with memory of its own, of a program that `npm run build` compiled from `assembly/<name>.ts`. Compiled once per thread.
 */
export function loadAssembly<Exports extends AssemblyExports>(name: string): Exports {
  let module = compiled.get(name);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(join(BUILT, `${name}.wasm`)));
    compiled.set(name, module);
  }
  return new WebAssembly.Instance(module, {}).exports as unknown as Exports;
}

/** Tests and worker threads may run from `src` by type stripping; what is compiled lies in `dist` all the same. */
const FOLDER = import.meta.dirname;
const BUILT = FOLDER.includes(join('dist', 'src'))
  ? join(FOLDER, '..', '..', 'assembly')
  : join(FOLDER, '..', '..', 'dist', 'assembly');
