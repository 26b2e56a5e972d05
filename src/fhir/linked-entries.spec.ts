import type { Patient } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDefinitions } from './definitions/definitions.ts';
import { LinkedEntries, SHUNNED_MS } from './linked-entries.ts';
import { entriesOf } from './match-criteria.ts';
import { StoredResource } from './stored-resource.ts';

const BASE = 'http://127.0.0.1:8080/fhir';

beforeAll(() => loadDefinitions());

const patient = (id: string, versionId = '1', more = '') =>
  new StoredResource(
    'Patient',
    id,
    versionId,
    new Date(0),
    false,
    JSON.stringify({ resourceType: 'Patient', id, name: [{ family: more }] }),
    'PUT',
  );
const keep = (kept: LinkedEntries, stored: StoredResource) =>
  kept.keep(stored, entriesOf(stored.parse<Patient>(), BASE));

describe('what is kept of resources that others refer to', () => {
  it('is bounded: the oldest goes first, and a large one is not kept at all', () => {
    const one = patient('a').json.length;
    const kept = new LinkedEntries(Date.now, 2 * one);
    for (const id of ['a', 'b', 'c']) keep(kept, patient(id));
    expect(['a', 'b', 'c'].map((id) => kept.get('Patient', id)?.versionId)).toEqual([undefined, '1', '1']);
    keep(kept, patient('d', '1', 'x'.repeat(70_000)));
    expect(kept.get('Patient', 'd')).toBeUndefined();
    keep(kept, patient('b', '2'));
    expect(kept.get('Patient', 'b')?.versionId).toBe('2');
    expect(kept.get('Patient', 'c')?.versionId).toBe('1');
  });

  it('is not kept for a while when it was not what it was taken for', () => {
    let now = 0;
    const kept = new LinkedEntries(() => now);
    keep(kept, patient('a'));
    kept.shun(['Patient/a']);
    keep(kept, patient('a', '2'));
    expect(kept.get('Patient', 'a')).toBeUndefined();
    now += SHUNNED_MS;
    keep(kept, patient('a', '3'));
    expect(kept.get('Patient', 'a')?.versionId).toBe('3');
  });
});
