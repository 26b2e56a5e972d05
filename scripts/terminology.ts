import { parseArgs } from 'node:util';
import { readSettings } from '../src/config/settings.ts';
import { Database } from '../src/database/database.ts';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.ts';
import { openMigrated } from '../src/database/open-database.ts';
import { loadDefinitions } from '../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../src/fhir/resource-store.ts';
import { Failure } from '../src/kernel/errors.ts';
import { detectFormat } from '../src/terminology/load/detect-format.ts';
import { importTerminology } from '../src/terminology/load/import-terminology.ts';
import { removeTerminology } from '../src/terminology/load/remove-terminology.ts';
import { sourceFiles } from '../src/terminology/load/source-files.ts';
import type { ImportProgress, ReadTerminology } from '../src/terminology/load/staging.ts';
import { ConceptStore } from '../src/terminology/systems/concept.store.ts';

const USAGE = `npm run terminology -- import <file, folder or zip> [--system <url>] [--version <version>] [--language <en>]
npm run terminology -- list
npm run terminology -- remove <url> <version>
`;

/** Code systems in and out of the database that the settings name, beside a running server or without one. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { system: { type: 'string' }, version: { type: 'string' }, language: { type: 'string' } },
    allowPositionals: true,
  });
  const [command, first, second] = positionals;
  if (command === 'import' && first) await withStore((to) => importFile(to, first, values));
  else if (command === 'list') await withStore(list);
  else if (command === 'remove' && first && second) await withStore((to) => remove(to, first, second));
  else {
    process.stderr.write(USAGE);
    process.exitCode = 2;
  }
}

interface Opened {
  readonly database: Database;
  readonly store: ResourceStore;
}

async function withStore(work: (to: Opened) => Promise<void>): Promise<void> {
  const settings = readSettings();
  const embedded = settings.DATABASE_URL ? null : await startEmbeddedPostgres(settings.PRELIM_DATA);
  try {
    const dataSource = await openMigrated(
      embedded
        ? { url: embedded.serverUrl, ownerUrl: embedded.url }
        : { url: (settings.DATABASE_URL as URL).href, ownerUrl: settings.DATABASE_OWNER_URL?.href ?? null },
      2,
    );
    try {
      await loadDefinitions();
      const database = new Database(dataSource);
      await work({ database, store: new ResourceStore(database, settings) });
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await embedded?.stop();
  }
}

interface ImportOptions {
  readonly system?: string | undefined;
  readonly version?: string | undefined;
  readonly language?: string | undefined;
}

async function importFile(to: Opened, path: string, options: ImportOptions): Promise<void> {
  const started = performance.now();
  const read = await detectFormat(await sourceFiles(path), options.language);
  const named: ReadTerminology = async (into) => {
    const description = await read(into);
    return {
      ...description,
      url: options.system ?? description.url,
      version: options.version ?? description.version,
    };
  };
  const imported = await importTerminology(named, to, toLines());
  const seconds = (performance.now() - started) / 1_000;
  process.stdout.write(
    `${imported.concepts} concepts of ${imported.url}|${imported.version} in ${seconds.toFixed(1)} s\n`,
  );
  if (imported.unknownParents > 0)
    process.stdout.write(`${imported.unknownParents} parents are not in the file and were left out.\n`);
}

/** A line per stage, and one every two seconds within it. */
const PROGRESS_MS = 2_000;

function toLines(): ImportProgress {
  let [stage, last] = ['', 0];
  return (now, concepts) => {
    if (now === stage && Date.now() - last < PROGRESS_MS) return;
    [stage, last] = [now, Date.now()];
    process.stderr.write(concepts > 1 ? `${now}: ${concepts} concepts\n` : `${now} …\n`);
  };
}

async function list({ database }: Opened): Promise<void> {
  for (const { url, version, concepts } of await new ConceptStore(database).systems())
    process.stdout.write(`${url}  ${version}  ${concepts} concepts\n`);
}

async function remove(to: Opened, url: string, version: string): Promise<void> {
  if (!(await removeTerminology(to, url, version)))
    throw new Failure('terminology.unknown', 'There is no such import; see: npm run terminology -- list');
}

try {
  await main();
} catch (error) {
  const text = error instanceof Failure ? `${error.code}: ${error.message}` : (error as Error).message;
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
