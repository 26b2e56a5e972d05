import type { Transaction } from '../database/database.ts';

/** From when to when data of the patient are not disclosed to those who do not treat them, by which Consent. */
export interface OptOut {
  readonly consent: string;
  readonly patient: string;
  /** ISO instants; null: without end. */
  readonly startsAt: string | null;
  readonly endsAt: string | null;
}

/** What the Consents say now; `consents`: the ids of those that changed, whether or not they opt out. */
export async function keepOptOuts(
  tx: Transaction,
  consents: readonly string[],
  optOuts: readonly OptOut[],
): Promise<void> {
  await tx.run(REMOVE, [consents]);
  if (optOuts.length === 0) return;
  await tx.run(ADD, [
    optOuts.map(({ consent }) => consent),
    optOuts.map(({ patient }) => patient),
    optOuts.map(({ startsAt }) => startsAt ?? '-infinity'),
    optOuts.map(({ endsAt }) => endsAt ?? 'infinity'),
  ]);
}

const REMOVE = {
  name: 'access-opt-out-remove',
  text: 'DELETE FROM access_opt_out WHERE consent = ANY($1::text[])',
};

const ADD = {
  name: 'access-opt-out-add',
  text: `INSERT INTO access_opt_out (consent, patient, starts_at, ends_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])`,
};
