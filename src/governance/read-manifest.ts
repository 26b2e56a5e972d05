import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import type { FailureIssue } from '../kernel/errors.ts';

/** Names of a manifest, the first that exists is read. */
export const MANIFEST_NAMES = ['manifest.yaml', 'manifest.yml', 'manifest.json'] as const;

/** Manifests are some kB; more is not a manifest. */
export const MANIFEST_BYTES_MAX = 256 * 1024;

/** An alias is only shorthand; more than a few are an attempt to make the parser grow without end. */
const YAML_ALIASES_MAX = 20;

/** Reads the manifest in a folder as a plain value, not yet checked. `value` is null when it cannot be read. */
export async function readManifest(
  folder: string,
): Promise<{ value: unknown; faults: readonly FailureIssue[] }> {
  const path = await manifestPath(folder);
  if (path === null) return fault(`there is no ${MANIFEST_NAMES[0]} in this folder`);
  if ((await stat(path)).size > MANIFEST_BYTES_MAX) return fault('the manifest is larger than 256 KiB');
  const document = parseDocument(await readFile(path, 'utf8'), { uniqueKeys: true });
  if (document.errors.length > 0) {
    return {
      value: null,
      faults: document.errors.map((error) => ({ text: `is not valid YAML or JSON: ${error.message}` })),
    };
  }
  try {
    return { value: document.toJS({ maxAliasCount: YAML_ALIASES_MAX }), faults: [] };
  } catch {
    return fault('uses too many YAML aliases');
  }
}

/** Path of the manifest in a folder, or null. */
export async function manifestPath(folder: string): Promise<string | null> {
  for (const name of MANIFEST_NAMES) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => null))?.isFile()) return path;
  }
  return null;
}

const fault = (text: string) => ({ value: null, faults: [{ text }] });
