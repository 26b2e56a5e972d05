/**
 * Builds the server (module by module, and in few files: `dist/server`), the search and validation tables, and the pages of worklist and operator into
 * `dist`. Does nothing when no source has changed since: so `npm start` is quick, and never runs what is old.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildAssembly } from './build-assembly.ts';

const root = join(import.meta.dirname, '..');
const SOURCES = [
  'src',
  'migrations',
  'models',
  'protocols',
  'ris-profiles',
  'demo',
  'scripts',
  'test',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vite.config.ts',
  'vite.server.config.ts',
];
const stampFile = join(root, 'dist', '.stamp');

const stamp = stampOf(SOURCES);
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp || process.argv.includes('--force')) {
  rmSync(stampFile, { force: true });
  await Promise.all([
    run('tsc', ['-p', 'tsconfig.build.json']),
    buildAssembly(),
    ...['worklist', 'operator'].map((page) => run('vite', ['build', '--mode', page, '--logLevel', 'warn'])),
  ]);
  await Promise.all([
    run('node', ['dist/scripts/build-definitions.js']),
    run('vite', ['build', '--config', 'vite.server.config.ts', '--logLevel', 'warn']),
  ]);
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stampFile, stamp);
}

/** Names, sizes and times of all sources. */
function stampOf(paths: readonly string[]): string {
  const hash = createHash('sha256').update(process.version);
  const look = (path: string): void => {
    const info = statSync(path, { throwIfNoEntry: false });
    if (!info) return;
    if (info.isDirectory()) for (const name of readdirSync(path).sort()) look(join(path, name));
    else hash.update(`${path}|${info.size}|${info.mtimeMs}\n`);
  };
  for (const path of paths) look(join(root, path));
  return hash.digest('hex');
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules', '.bin', program), args, { cwd: root, stdio: 'inherit' });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`)),
    );
  });
}
