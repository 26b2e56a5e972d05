import type { Observation } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { type AccessContext, FULL_ACCESS } from '../access-context.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import { ResourceStore, type ResourceWrite } from '../resource-store.ts';
import { keepPatientCodes } from '../storage/keep-patient-codes.ts';
import { buildPage } from './build-search.ts';
import { readStatistics } from './entry-statistics.ts';
import { parseQuery } from './parse-query.ts';
import { PATIENT_CODE_KEYS_MAX } from './patient-codes.ts';

const SELF = { baseUrl: 'http://127.0.0.1:8080' };
const BASE = `${SELF.baseUrl}/fhir`;
const RARE = { rowsOf: () => 1_000_000, rowsWith: () => null };

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
beforeAll(async () => {
  await loadDefinitions();
  ({ database, close } = await freshDatabase());
  store = new ResourceStore(database, SELF);
  await write([
    observed('one', 'Patient/p1', ['urn:s|a', 'urn:t|b']),
    observed('other-code', 'Patient/p1', ['urn:s|c']),
    observed('other-system', 'Patient/p1', ['urn:u|a']),
    observed('no-system', 'Patient/p1', ['|a']),
    observed('other-patient', 'Patient/p2', ['urn:s|a']),
    observed('same-end-1', 'Patient/first-000000000001', ['urn:s|a']),
    observed('same-end-2', 'Patient/other-000000000001', ['urn:s|a']),
    observed('of-a-group', 'Group/p1', ['urn:s|a']),
    observed('of-a-patient-elsewhere', 'https://other.example/fhir/Patient/p1', ['urn:s|a']),
    observed('bars', 'Patient/p3', ['urn:s|x|y', 'a|b|z']),
    observed('lines', 'Patient/p3', ['urn:s|first\nObservation.code#second', 'urn:s|\nempty', 'urn:s|last']),
    observed('letters', 'Patient/p3', ['urn:s|Größe 𝔸 😀']),
    observed('long', 'Patient/p3', [`urn:s|${'l'.repeat(600)}`]),
    observed('changed', 'Patient/p1', ['urn:s|a']),
    observed('deleted', 'Patient/p1', ['urn:s|a']),
  ]);
  await write([
    { ...observed('changed', 'Patient/p2', ['urn:s|d']), kind: 'update' },
    { kind: 'delete', type: 'Observation', id: 'deleted' },
  ] as ResourceWrite[]);
});
afterAll(() => close());

const write = (writes: readonly ResourceWrite[]) => database.transaction((tx) => store.write(tx, writes));

function observed(id: string, reference: string, codes: readonly string[]): ResourceWrite {
  const coding = codes.map((one) => {
    const at = one.startsWith('a|b|') ? 3 : one.indexOf('|');
    const system = one.slice(0, at);
    return { ...(system === '' ? {} : { system }), code: one.slice(at + 1) };
  });
  const resource = {
    resourceType: 'Observation',
    id,
    status: 'final',
    code: { coding },
    subject: { reference },
  };
  return { kind: 'create', resource: resource as Observation };
}

const built = (query: string, patientCodes: boolean, access: AccessContext = FULL_ACCESS) =>
  buildPage(parseQuery('Observation', query), access, BASE, { statistics: { ...RARE, patientCodes } });
async function found(...asked: Parameters<typeof built>): Promise<string[]> {
  const { text, values } = built(...asked);
  return (await database.run<{ id: string }>({ text }, values)).map(({ id }) => id);
}
const byKeys = (query: string): boolean => built(query, true).text.includes('observation_patient_codes');

describe('a search by patient and code', () => {
  it.each([
    ['patient=Patient/p1&code=urn:s|a', ['one']],
    ['patient=p1&code=a', ['no-system', 'one', 'other-system']],
    ['subject=Patient/p1&code=|a', ['no-system']],
    ['subject:Patient=p1&code=urn:t|b', ['one']],
    ['patient=p1,p2&code=urn:s|a,urn:s|c', ['one', 'other-code', 'other-patient']],
    ['patient=p2&code=d', ['changed']],
    ['patient=first-000000000001&code=a', ['same-end-1']],
    ['patient=other-000000000001&code=a', ['same-end-2']],
    ['patient=p1&code=urn:s|a&status=final', ['one']],
    ['patient=p1&code=urn:s|a&status=preliminary', []],
    ['patient=p1&code=a&code=b', ['one']],
    ['patient=p1&code=a&code:not=b', ['no-system', 'other-system']],
    ['patient=p1&code=a&_sort=-_id', ['other-system', 'one', 'no-system']],
    ['patient=p3&code=urn:s|x\\|y', ['bars']],
    ['patient=p3&code=x\\|y', ['bars']],
    ['patient=p3&code=a\\|b|z', ['bars']],
    ['patient=p3&code=first\nObservation.code%23second', ['lines']],
    ['patient=p3&code=urn:s|\nempty', ['lines']],
    ['patient=p3&code=last', ['lines']],
    ['patient=p3&code=Größe 𝔸 😀', ['letters']],
  ])('%s by the keys of both finds what the entries find', async (query, ids) => {
    expect(byKeys(query)).toBe(true);
    expect(await found(query, true)).toEqual(ids);
    expect(await found(query, false)).toEqual(ids);
  });

  it.each([
    ['patient=p3&code=urn:s|', 4],
    [`patient=p3&code=${'l'.repeat(600)}`, 1],
    ['patient=p1&code:not=a', 1],
    ['subject=p1&code=urn:s|a', 2],
    ['subject=https://other.example/fhir/Patient/p1&code=a', 1],
    ['patient=p1', 4],
    ['patient=p1&_id=one&code=a', 1],
    [`patient=p1,p2&code=a,${Array.from({ length: PATIENT_CODE_KEYS_MAX / 2 }, (_, n) => `n${n}`)}`, 4],
  ])('%s has no such keys, and goes by the entries', async (query, count) => {
    expect(byKeys(query)).toBe(false);
    expect(await found(query, true)).toHaveLength(count);
  });

  it('reads the index of keys alone, and no other', async () => {
    const { text, values } = built('patient=p1&code=urn:s|a&status=final&_sort=-date', true);
    const plan = await database.transaction(async (tx) => {
      await tx.run({ text: 'SET LOCAL enable_seqscan = off' });
      return tx.run({ text: `EXPLAIN ${text}` }, values);
    });
    const scanned = JSON.stringify(plan).match(/Index Scan (?:using|on) (\w+)/g);
    expect(scanned).toEqual(['Index Scan on resource_patient_codes']);
  });

  it('shows nothing that the caller may not see', async () => {
    const access: AccessContext = {
      allows: () => true,
      condition: (_type, _interaction, alias, parameters) =>
        `${alias}.id <> ${parameters.add('one', 'text')}`,
    };
    expect(await found('patient=p1&code=a', true, access)).toEqual(['no-system', 'other-system']);
  });
});

describe('the index of patients and codes', () => {
  const isKnown = async (): Promise<boolean | undefined> => {
    await database.run({ text: 'ANALYZE resource' });
    return (await readStatistics(database))?.patientCodes;
  };

  it('is made beside the work where the migration left it, once, and anew when it was cut off', async () => {
    expect([await keepPatientCodes(database), await isKnown()]).toEqual([false, true]);
    await database.run({ text: 'DROP INDEX resource_patient_codes' });
    expect(await isKnown()).toBe(false);
    const made = await Promise.all([keepPatientCodes(database), keepPatientCodes(database)]);
    expect([made.filter(Boolean).length, await isKnown()]).toEqual([1, true]);
    await database.run({
      text: `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'resource_patient_codes'::regclass`,
    });
    expect(await isKnown()).toBe(false);
    expect([await keepPatientCodes(database), await isKnown()]).toEqual([true, true]);
    expect(await found('patient=p1&code=urn:s|a', true)).toEqual(['one']);
  });
});
