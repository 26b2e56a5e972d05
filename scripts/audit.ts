import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { auditKeyIn, signHead } from '../src/access/audit-heads.ts';
import { AUDIT_PAGE_MAX, exportAudit } from '../src/access/export-audit.ts';
import { pruneAudit } from '../src/access/prune-audit.ts';
import { verifyAudit } from '../src/access/verify-audit.ts';
import { readSettings, type Settings } from '../src/config/settings.ts';
import { openDataSource } from '../src/database/data-source.ts';
import { Database } from '../src/database/database.ts';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.ts';
import { systemClock } from '../src/kernel/clock.ts';

const USAGE = `npm run audit -- <command>
  verify [--head <file>]…   check every row, and that signed heads are still there; ends with 1 when something is wrong
  head                      print a signed head: keep it where this server cannot write
  export [--from <date>] [--to <date>]   AuditEvents as NDJSON on standard output
  prune                     remove rows older than AUDIT_KEPT_DAYS (needs the owner of the tables)
`;

type Command = (database: Database, settings: Settings, args: readonly string[]) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = { verify, head, export: exportEvents, prune };

const [name = '', ...args] = process.argv.slice(2);
const command = COMMANDS[name];
if (!command) {
  process.stderr.write(USAGE);
  process.exit(2);
}
try {
  const settings = readSettings();
  process.exitCode = await withDatabase(settings, (database) => command(database, settings, args));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function verify(database: Database, settings: Settings, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { head: { type: 'string', multiple: true, default: [] } },
  });
  const heads = (await Promise.all(values.head.map((file) => readFile(file, 'utf8'))))
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.trim() !== '');
  const key = await auditKeyIn(settings.PRELIM_DATA);
  const verdict = await verifyAudit(database, key, new Date(), heads);
  const { rows, segments, faults, doubts } = verdict;
  process.stdout.write(
    `${rows} rows in ${segments} chains, ${verdict.heads} signed heads, key ${key.thumbprint}\n`,
  );
  for (const doubt of doubts) process.stdout.write(`doubt: ${doubt}\n`);
  for (const fault of faults) process.stdout.write(`WRONG: ${fault}\n`);
  if (faults.length === 0) process.stdout.write('nothing was changed or removed\n');
  return faults.length === 0 ? 0 : 1;
}

async function head(database: Database, settings: Settings): Promise<number> {
  process.stdout.write(`${await signHead(database, await auditKeyIn(settings.PRELIM_DATA), systemClock)}\n`);
  return 0;
}

async function exportEvents(
  database: Database,
  settings: Settings,
  args: readonly string[],
): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { from: { type: 'string' }, to: { type: 'string' } },
  });
  const query = new URLSearchParams({ _sort: 'date', _count: String(AUDIT_PAGE_MAX) });
  if (values.from) query.append('date', `ge${values.from}`);
  if (values.to) query.append('date', `lt${values.to}`);
  for await (const event of exportAudit(database, query, `${settings.baseUrl}/fhir`)) {
    if (!process.stdout.write(`${JSON.stringify(event)}\n`))
      await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
  return 0;
}

async function prune(database: Database, settings: Settings): Promise<number> {
  const key = await auditKeyIn(settings.PRELIM_DATA);
  const removed = await pruneAudit(database, key, systemClock, settings.AUDIT_KEPT_DAYS);
  process.stdout.write(`${removed} rows removed\n`);
  return 0;
}

/** The database of the settings, as the owner of the audit where there is one. */
async function withDatabase<T>(settings: Settings, work: (database: Database) => Promise<T>): Promise<T> {
  const embedded = settings.DATABASE_URL ? null : await startEmbeddedPostgres(settings.PRELIM_DATA);
  try {
    const dataSource = await openDataSource(
      embedded?.url ?? (settings.DATABASE_OWNER_URL ?? (settings.DATABASE_URL as URL)).href,
      2,
    );
    try {
      return await work(new Database(dataSource));
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await embedded?.stop();
  }
}
