import { parseArgs } from 'node:util';
import { readSettings } from '../src/config/settings.ts';
import { backUp } from '../src/database/back-up.ts';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.ts';
import { restore } from '../src/database/restore.ts';
import { Failure } from '../src/kernel/errors.ts';

const USAGE = `npm run backup -- <file> [--no-archive]
npm run restore -- <file>
`;

/** The record of the database and data folder that the settings name, into one file and back. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { 'no-archive': { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const [command, file, ...more] = positionals;
  if (!file || more.length > 0 || (command !== 'backup' && command !== 'restore')) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const started = performance.now();
  const say = (what: string): void => {
    process.stderr.write(`${what}\n`);
  };
  const settings = readSettings();
  const data = settings.PRELIM_DATA;
  const embedded = settings.DATABASE_URL ? null : await startEmbeddedPostgres(data);
  const url = embedded?.url ?? (settings.DATABASE_URL as URL).href;
  try {
    const counts =
      command === 'backup'
        ? await backUp(file, { url, data, archive: !values['no-archive'], progress: toLines(say) })
        : await restore(file, { url, data, progress: say });
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    const size = counts.bytes > 0 ? `, ${(counts.bytes / 1_000_000).toFixed(1)} MB` : '';
    process.stdout.write(`${command}: ${counts.rows} rows, ${counts.files} files${size} in ${seconds} s\n`);
  } finally {
    await embedded?.stop();
  }
}

/** A line per table, and for files one every two seconds. */
const PROGRESS_MS = 2_000;

function toLines(say: (what: string) => void): (what: string, done: { rows: number; files: number }) => void {
  let last = 0;
  return (what, { rows, files }) => {
    if (files > 0 && Date.now() - last < PROGRESS_MS) return;
    last = Date.now();
    say(files > 0 ? `${files} files` : `${what}: ${rows} rows so far`);
  };
}

try {
  await main();
} catch (error) {
  const text = error instanceof Failure ? `${error.code}: ${error.message}` : (error as Error).message;
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
