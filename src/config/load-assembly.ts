import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { folderWith } from './folder-with.ts';

/** What every compiled program of ours gives: its memory, and functions over it that take and give numbers. */
export interface AssemblyExports {
  readonly memory: WebAssembly.Memory;
  readonly [name: string]: WebAssembly.ExportValue;
}

/** As much of the standard's interface as is used here: it comes with the types of browsers, which a server does not have. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  type ExportValue = Memory | ((...numbers: number[]) => number | void);
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    readonly exports: unknown;
    constructor(module: Module, imports: object);
  }
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
  return new WebAssembly.Instance(module, {}).exports as Exports;
}

/** Tests and worker threads may run from `src` by type stripping; what is compiled lies in `dist` all the same. */
const FOLDER = 'dist/assembly';
const BUILT = join(folderWith(FOLDER) ?? '.', FOLDER);
