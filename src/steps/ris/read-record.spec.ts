import type { DiagnosticReport, Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { type AccessContext, FULL_ACCESS } from '../../fhir/access-context.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { readRecord } from './read-record.ts';

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;

const REPORT: DiagnosticReport & { id: string } = {
  resourceType: 'DiagnosticReport',
  id: 'report',
  status: 'final',
  code: { text: 'x' },
  subject: { reference: 'Patient/before' },
  imagingStudy: [{ reference: 'ImagingStudy/study' }],
  result: [{ reference: 'Observation/finding' }],
};

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  const subject = { reference: 'Patient/before' };
  const resources: (Resource & { id: string })[] = [
    {
      resourceType: 'Patient',
      id: 'before',
      link: [{ type: 'replaced-by', other: { reference: 'Patient/survivor' } }],
    },
    { resourceType: 'Patient', id: 'survivor', name: [{ family: 'Survivor' }] },
    { resourceType: 'ImagingStudy', id: 'study', status: 'available', subject },
    { resourceType: 'Device', id: 'device' },
    {
      resourceType: 'Observation',
      id: 'finding',
      status: 'final',
      code: { text: 'x' },
      subject,
      device: { reference: 'Device/device' },
    },
    REPORT,
  ];
  await database.transaction((tx) =>
    store.write(
      tx,
      resources.map((resource) => ({ kind: 'update', resource }) as const),
    ),
  );
});
afterAll(() => close());

describe('the record of a report', () => {
  it('is that of the patient into whom another was merged', async () => {
    expect((await readRecord(store, REPORT)).patient.id).toBe('survivor');
  });

  it('shows an asker nobody whom they may not see, by no merge either', async () => {
    const narrow: AccessContext = {
      ...FULL_ACCESS,
      condition: (type, _interaction, alias) => (type === 'Patient' ? `${alias}.id <> 'survivor'` : null),
    };
    expect((await readRecord(store, REPORT, narrow)).patient.id).toBe('before');
  });
});
