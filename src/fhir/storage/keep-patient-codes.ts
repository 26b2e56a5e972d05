import type { Database, Sql, SqlApart, Statement } from '../../database/database.ts';

/**
 * Makes the index of `patient-codes.ts` where the migration found too many rows, beside everybody's work: CREATE INDEX CONCURRENTLY holds up nobody, and searches go by the entries until it is there. Of several processes one does it; one that was cut off
 * leaves an index that is not valid, and the next makes it anew. Gives true when this process has made it. A search is right without it, only slower, so who calls need not wait, and an error ends nothing.
 */
export async function keepPatientCodes(database: Database): Promise<boolean> {
  if (await isThere(database)) return false;
  const apart = database.apart(1);
  try {
    return await make(apart);
  } finally {
    await apart.end();
  }
}

/** On one connection, which the lock and the time limit belong to. */
async function make(sql: SqlApart): Promise<boolean> {
  const [lock] = await sql.run<{ ours: boolean }>({ text: `SELECT pg_try_advisory_lock(${LOCK}) AS ours` });
  if (!lock?.ours || (await isThere(sql))) return false;
  await sql.run({ text: 'SET statement_timeout = 0' });
  await sql.run({ text: 'DROP INDEX CONCURRENTLY IF EXISTS resource_patient_codes' });
  await sql.run({
    text: `CREATE INDEX CONCURRENTLY resource_patient_codes ON resource USING gin (observation_patient_codes(tokens))
      WITH (fastupdate = off) WHERE (type = 'Observation') IS TRUE`,
  });
  await sql.run({ text: 'ALTER INDEX resource_patient_codes ALTER COLUMN 1 SET STATISTICS 0' });
  return true;
}

async function isThere(sql: Sql): Promise<boolean> {
  const [row] = await sql.run<{ there: boolean }>(THERE);
  return row?.there === true;
}

const THERE: Statement = {
  text: `SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('resource_patient_codes') AND indisvalid) AS there`,
};

/** Any number that nothing else in the database locks. */
const LOCK = 7_263_557;
