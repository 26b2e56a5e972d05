import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from '../database/database.ts';
import { ruleToSql } from './access-rule.ts';
import { solePatientOf } from './search/sole-patient.ts';
import { SqlParameters } from './sql-parameters.ts';

let database: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ database, close } = await freshDatabase());
});
afterAll(() => close());

const HEADS = ['Observation.subject', 'Observation.performer'];
const SHUT = 'Observation.subject>Patient/shut';
const OPEN = 'Observation.subject>Patient/open';

/** Of these rows those that may be seen, by their position: the same whether a row says whose it is, or said it of another version, so that only its entries do. */
async function seen(rows: readonly (readonly string[] | null)[], self = false, id = 'x'): Promise<number[]> {
  const told = await asked(
    rows.map((tokens) => ({ tokens, sole: tokens && solePatientOf(tokens), at: 2 })),
    self,
    id,
  );
  const untold = await asked(
    rows.map((tokens) => ({ tokens, sole: 'another', at: 1 })),
    self,
    id,
  );
  expect(told).toEqual(untold);
  return told;
}

async function asked(rows: readonly object[], self: boolean, id: string): Promise<number[]> {
  const parameters = new SqlParameters();
  const list = parameters.add(JSON.stringify(rows), 'jsonb');
  const condition = ruleToSql({ kind: 'consented', heads: HEADS, self }, 'r', parameters);
  const found = await database.run<{ n: number }>(
    {
      text: `SELECT n::int - 1 AS n FROM (SELECT n, ${parameters.add(id, 'text')} AS id,
          CASE WHEN jsonb_typeof(row -> 'tokens') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(row -> 'tokens')) END AS tokens,
          row ->> 'sole' AS sole_patient, 2 AS version, (row -> 'at')::int AS sole_patient_at
        FROM jsonb_array_elements(${list}) WITH ORDINALITY AS l(row, n)) r WHERE ${condition} ORDER BY n`,
    },
    parameters.values,
  );
  return found.map(({ n }) => n);
}

/** Adds to every row, so that the one look at its text meets ordinary ones too. */
const usual = ['Observation.code#1', 'Observation.status#final', 'Observation.identifier@urn:x|1'];

const optOut = (patient: string, startsAt = '-infinity', endsAt = 'infinity') =>
  database.run({ text: 'INSERT INTO access_opt_out VALUES ($1, $2, $3, $4)' }, [
    `c-${patient}`,
    patient,
    startsAt,
    endsAt,
  ]);
const settle = () => database.run({ text: 'DELETE FROM access_opt_out' });

describe('the condition on patients who have opted out', () => {
  it('hides what is theirs by any parameter of the compartment, and nothing else', async () => {
    const rows: [hidden: boolean, tokens: string[] | null][] = [
      [true, [SHUT]],
      [false, [OPEN]],
      [false, []],
      [false, null],
      // Several Patients: each counts.
      [true, [OPEN, 'Observation.performer>Patient/shut']],
      [true, ['Observation.performer>Patient/shut', OPEN]],
      [true, [OPEN, 'Observation.subject>Patient/other', SHUT]],
      [false, [OPEN, 'Observation.performer>Patient/other']],
      // Refers to one who opted out, but is not theirs.
      [false, ['Observation.focus>Patient/shut']],
      [false, [OPEN, 'Observation.focus>Patient/shut']],
      [true, [SHUT, 'Observation.focus>Patient/open']],
      // Another one whose id begins, ends or is spelled like theirs.
      [false, ['Observation.subject>Patient/shut2', 'Observation.performer>Patient/xshut']],
      [false, ['Observation.subject>Patient/SHUT']],
      [false, ['Observation.subject>Device/shut']],
      // Values of others that look like references or like the ends of entries do not cover one up.
      [true, ['Observation.identifier#x>Patient/open', SHUT]],
      [true, ['Observation.identifier#a\n>Patient/open\nb', SHUT]],
      [true, ['Observation.identifier#>Patient/', SHUT]],
      [true, ['Observation.identifier#>Patient/shut\n', SHUT]],
      [false, ['Observation.identifier#x>Patient/shut', OPEN]],
      [false, ['Observation.identifier#x\nObservation.subject>Patient/shut']],
    ];
    const withUsual = rows.map(([, tokens]) => tokens && [...usual, ...tokens, 'Observation.value-string!']);
    expect(await seen(withUsual)).toHaveLength(rows.length);
    await optOut('shut');
    try {
      expect(await seen(withUsual)).toEqual(rows.flatMap(([hidden], n) => (hidden ? [] : [n])));
    } finally {
      await settle();
    }
  });

  it('hides the Patients themselves', async () => {
    await optOut('shut');
    try {
      expect(await seen([usual], true, 'shut')).toEqual([]);
      expect(await seen([usual], true, 'open')).toEqual([0]);
      expect(await seen([usual], false, 'shut')).toEqual([0]);
    } finally {
      await settle();
    }
  });

  it('holds from the first instant of a Consent to its last', async () => {
    const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    await optOut('now', at(-1), at(1));
    await optOut('later', at(1), at(2));
    await optOut('before', at(-2), at(-1));
    try {
      const rows = ['now', 'later', 'before'].map((id) => [`Observation.subject>Patient/${id}`]);
      expect(await seen(rows)).toEqual([1, 2]);
      expect(await seen(rows.map((row) => [...row, 'Observation.performer>Patient/open']))).toEqual([1, 2]);
    } finally {
      await settle();
    }
  });
});
