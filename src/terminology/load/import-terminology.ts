import { createHash } from 'node:crypto';
import pg, { type Client } from 'pg';
import type { Database } from '../../database/database.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import { fillTables } from './fill-tables.ts';
import { type ImportProgress, type ReadTerminology, Staging, type SystemDescription } from './staging.ts';
import { transactionOn } from './transaction-on-client.ts';
import { writeHeader } from './write-header.ts';

export interface Imported {
  readonly url: string;
  readonly version: string;
  readonly concepts: number;
  /** Rows of the file that named a parent that is not a concept of it, and were left out. */
  readonly unknownParents: number;
}

/**
 * Imports one version of a code system, all or nothing: one transaction, into tables of its own that are attached with the commit. The same
 * version once more takes the place of the one that is there. Memory does not grow with the size of the file, but with the number
 * of words and of pairs in the hierarchy: some 250 MB for 500,000 concepts.
 *
 * @throws Failure `terminology.import` for a file that makes no sense
 */
export async function importTerminology(
  read: ReadTerminology,
  to: { readonly database: Database; readonly store: ResourceStore },
  progress: ImportProgress = () => undefined,
): Promise<Imported> {
  const client = new pg.Client(to.database.connectionOptions());
  await client.connect();
  client.on('error', () => undefined);
  try {
    await client.query(
      'BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0',
    );
    const staging = await Staging.open(client, (concepts) => progress('reading', concepts));
    const description = await read(staging);
    await staging.flush();
    checkDescription(description, staging.concepts);
    await lock(client, description);
    const filled = await fillTables(client, description, progress);
    const ends = transactionOn(client);
    await writeHeader(to.store, ends.transaction, description, filled.concepts);
    await ends.settle();
    await client.query('COMMIT');
    ends.committed();
    return { url: description.url, version: description.version, ...filled };
  } finally {
    // Without a commit the end of the connection takes everything back.
    await client.end().catch(() => undefined);
  }
}

function checkDescription({ url, version }: SystemDescription, concepts: number): void {
  if (url === '' || version === '')
    throw new Failure(
      'terminology.import',
      'The file does not say which code system and version it is. Name them: --system <url> --version <version>.',
    );
  if (concepts === 0)
    throw new Failure('terminology.import', 'The file has no concepts. Is it the file that was meant?');
}

/** Two imports of the same version follow each other. */
async function lock(client: Client, { url, version }: SystemDescription): Promise<void> {
  const key = createHash('sha256').update(`${url}|${version}`).digest().readInt32BE();
  await client.query('SELECT pg_advisory_xact_lock($1, $2)', [TERMINOLOGY_LOCK, key]);
}

/** Any number that no other lock of two numbers has. */
const TERMINOLOGY_LOCK = 726_355;
