/**
 * Compiles each `assembly/<name>.ts` under `src` (AssemblyScript: the hot loops of pixels) to `dist/assembly/<name>.wasm`. Files beginning with `_` are parts
 * that others import.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

export async function buildAssembly(): Promise<void> {
  const out = join(root, 'dist', 'assembly');
  mkdirSync(out, { recursive: true });
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    /(^|\/)assembly\/[^_/][^/]*\.ts$/.test(path),
  );
  await Promise.all(sources.map((path) => compile(join(root, 'src', path), out)));
}

/** No garbage collector and no runtime errors of AssemblyScript's own: these programs lay out their memory themselves. */
async function compile(source: string, out: string): Promise<void> {
  const target = join(out, `${basename(source, '.ts')}.wasm`);
  await run(join(root, 'node_modules', '.bin', 'asc'), [
    source,
    '--outFile',
    target,
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '--use',
    'abort=',
  ]);
}
