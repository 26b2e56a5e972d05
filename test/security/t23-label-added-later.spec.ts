import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AccessWorld,
  type Ask,
  idsIn,
  observation,
  person,
  RESTRICTED,
  VERY_RESTRICTED,
} from './access-world.ts';

let world: AccessWorld;
/** Sees restricted data, not very restricted ones. */
let clinician: Ask;
/** An app of the patient's own: sees neither. */
let app: Ask;

beforeAll(async () => {
  world = await AccessWorld.start();
  await world.write(person('t23-p', 'Alpha'));
  for (const [id, label] of [
    ['t23-r', RESTRICTED],
    ['t23-v', VERY_RESTRICTED],
  ] as const) {
    await world.write(observation(id, 't23-p', { status: 'preliminary' }));
    await world.write(observation(id, 't23-p', { status: 'final' }));
    await world.write({ ...observation(id, 't23-p', { status: 'amended' }), meta: { security: [label] } });
  }
  await world.write(observation('t23-plain', 't23-p'));
  // A label that was taken off: the labelled version stays hidden.
  await world.write({ ...observation('t23-freed', 't23-p'), meta: { security: [VERY_RESTRICTED] } });
  const body = {
    resourceType: 'Parameters',
    parameter: [{ name: 'meta', valueMeta: { security: [VERY_RESTRICTED] } }],
  };
  expect((await world.all('POST', 'Observation/t23-freed/$meta-delete', body)).status).toBe(200);
  clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
  app = await world.patient('t23-p', 'patient/*.rs');
}, 120_000);
afterAll(() => world?.close());

const PATHS = ['', '/_history', '/_history/1', '/_history/2', '/_history/3'];

describe('T23: a label that came later hides the versions before it as well', () => {
  it('R is hidden from the patient’s app, in every version and at every door', async () => {
    for (const path of PATHS) expect((await app('GET', `Observation/t23-r${path}`)).status, path).toBe(404);
    for (const path of [
      'Observation',
      'Observation/_history',
      'Patient/t23-p/$everything',
      'Patient/t23-p/Observation',
      'Observation?_security=R',
      '_history',
    ]) {
      const answer = await app('GET', path);
      expect(answer.status).toBe(200);
      expect(
        idsIn(answer).filter((id) => /t23-[rv]/.test(id)),
        path,
      ).toEqual([]);
    }
    expect((await app('GET', 'Observation?_summary=count')).body.total).toBe(2);
  });

  it('a clinician sees R, and of V no version', async () => {
    for (const path of PATHS) {
      expect((await clinician('GET', `Observation/t23-r${path}`)).status, path).toBe(200);
      expect((await clinician('GET', `Observation/t23-v${path}`)).status, path).toBe(404);
    }
    expect(idsIn(await clinician('GET', 'Observation?_sort=_id'))).toEqual([
      'Observation/t23-freed',
      'Observation/t23-plain',
      'Observation/t23-r',
    ]);
  });

  it('a version that had the label stays hidden when the label is taken off', async () => {
    expect((await clinician('GET', 'Observation/t23-freed')).status).toBe(200);
    expect((await clinician('GET', 'Observation/t23-freed/_history/1')).status).toBe(404);
    expect((await clinician('GET', 'Observation/t23-freed/_history/2')).status).toBe(200);
    expect((await clinician('GET', 'Observation/t23-freed/_history')).body.total).toBe(1);
  });

  it('an included or chained resource with the label is not there either', async () => {
    await world.write({
      resourceType: 'DiagnosticReport',
      id: 't23-report',
      status: 'final',
      code: { text: 'report' },
      subject: { reference: 'Patient/t23-p' },
      result: [{ reference: 'Observation/t23-v' }, { reference: 'Observation/t23-plain' }],
    });
    expect(idsIn(await clinician('GET', 'DiagnosticReport?_include=DiagnosticReport:result'))).toEqual([
      'DiagnosticReport/t23-report',
      'Observation/t23-plain',
    ]);
    expect(idsIn(await clinician('GET', 'DiagnosticReport?result.status=amended'))).toEqual([]);
    expect(idsIn(await clinician('GET', 'Patient?_has:Observation:patient:_id=t23-v'))).toEqual([]);
  });

  it('what may not be seen may not be changed', async () => {
    const radiologist = await world.as({ scope: 'user/*.cruds', roles: ['radiologist'] });
    expect((await radiologist('PUT', 'Observation/t23-v', observation('t23-v', 't23-p'))).status).toBe(404);
    expect((await radiologist('PUT', 'Observation/t23-r', observation('t23-r', 't23-p'))).status).toBe(200);
    expect((await world.all('GET', 'Observation/t23-v')).body.meta.versionId).toBe('3');
  });
});
