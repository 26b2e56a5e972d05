import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why `dciodvfy` (dicom3tools) is not here, or null. */
export const dciodvfyMissing = (): string | null =>
  spawnSync('dciodvfy', ['-version']).error ? 'skipped: no dciodvfy' : null;

/** Why `dsrdump` (DCMTK) is not here, or null. */
export const dsrdumpMissing = (): string | null =>
  spawnSync('dsrdump', ['--version']).error ? 'skipped: no dsrdump' : null;

/** The lines in which dciodvfy names an error, and the IOD that it took the object for. */
export function dciodvfy(bytes: Uint8Array): { readonly errors: string[]; readonly text: string } {
  const { stdout, stderr } = onFile('dciodvfy', [], bytes);
  const text = `${stdout}${stderr}`;
  return { errors: text.split('\n').filter((line) => line.startsWith('Error')), text };
}

/** DCMTK's reading of the content tree; throws when it cannot read it. */
export function dsrdump(bytes: Uint8Array): string {
  const { status, stdout, stderr } = onFile('dsrdump', ['+U8'], bytes);
  if (status !== 0) throw new Error(`dsrdump ended with ${status}: ${stderr}`);
  return stdout;
}

function onFile(program: string, options: readonly string[], bytes: Uint8Array) {
  const folder = mkdtempSync(join(tmpdir(), 'prelim-object-'));
  try {
    const path = join(folder, 'object.dcm');
    writeFileSync(path, bytes);
    return spawnSync(program, [...options, path], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
