import type { Observation } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, type Ask, observation, person } from './access-world.ts';

let world: AccessWorld;
let app: Ask;

beforeAll(async () => {
  world = await AccessWorld.start();
  await world.write(person('t17-a', 'Alpha'));
  await world.write(person('t17-b', 'Beta'));
  await world.write(observation('t17-own', 't17-a', { status: 'preliminary' }));
  await world.write(observation('t17-other', 't17-b', { status: 'preliminary' }));
  // Roles as well as scopes must allow a write: here the radiologist who has patient A open.
  app = await world.patient('t17-a', 'patient/*.cruds', { roles: ['radiologist'] });
}, 120_000);
afterAll(() => world?.close());

const moved = (id: string | undefined, patient: string) => observation(id, patient, { status: 'final' });

describe('T17: nobody moves a resource from one patient to another', () => {
  it('an update in the compartment is made', async () => {
    const answer = await app('PUT', 'Observation/t17-own', moved('t17-own', 't17-a'));
    expect(answer.status).toBe(200);
  });

  it('an update that moves the subject to B is 403, and nothing is written', async () => {
    const before = await world.all('GET', 'Observation/t17-own');
    const answer = await app('PUT', 'Observation/t17-own', moved('t17-own', 't17-b'));
    expect(answer.status).toBe(403);
    expect(answer.text).not.toContain('t17-b');
    const after = await world.all('GET', 'Observation/t17-own');
    expect(after.text).toBe(before.text);
  });

  it.each([
    [
      'JSON Patch',
      'application/json-patch+json',
      [{ op: 'replace', path: '/subject/reference', value: 'Patient/t17-b' }],
    ],
    [
      'FHIRPath Patch',
      'application/fhir+json',
      {
        resourceType: 'Parameters',
        parameter: [
          {
            name: 'operation',
            part: [
              { name: 'type', valueCode: 'replace' },
              { name: 'path', valueString: 'Observation.subject' },
              { name: 'value', valueReference: { reference: 'Patient/t17-b' } },
            ],
          },
        ],
      },
    ],
  ])('a %s that moves it is 403', async (_, contentType, body) => {
    const answer = await app('PATCH', 'Observation/t17-own', JSON.stringify(body), {
      'content-type': contentType,
    });
    expect(answer.status).toBe(403);
    const kept = (await world.all('GET', 'Observation/t17-own')).body as Observation;
    expect(kept.subject?.reference).toBe('Patient/t17-a');
  });

  it.each(['batch', 'transaction'])('an entry of a %s that moves it is refused', async (type) => {
    const entry = [
      { resource: moved('t17-own', 't17-b'), request: { method: 'PUT', url: 'Observation/t17-own' } },
    ];
    const answer = await app('POST', '', { resourceType: 'Bundle', type, entry });
    const status = type === 'batch' ? answer.body.entry[0].response.status : String(answer.status);
    expect(status).toMatch(/^403/);
    const kept = (await world.all('GET', 'Observation/t17-own')).body as Observation;
    expect(kept.subject?.reference).toBe('Patient/t17-a');
  });

  it('a create for B is 403; one for A is made', async () => {
    expect((await app('POST', 'Observation', moved(undefined, 't17-b'))).status).toBe(403);
    expect(
      (await app('POST', 'Observation', { ...moved(undefined, 't17-a'), subject: undefined })).status,
    ).toBe(403);
    expect((await app('POST', 'Observation', moved(undefined, 't17-a'))).status).toBe(201);
  });

  it("B's Observation cannot be taken over: a PUT to its id is 404, as to an id that nobody has", async () => {
    const taken = await app('PUT', 'Observation/t17-other', moved('t17-other', 't17-a'));
    const unknown = await app('PUT', 'Observation/t17-nobody', moved('t17-nobody', 't17-a'));
    expect(taken.status).toBe(404);
    expect(taken.text).toBe(unknown.text);
    const kept = (await world.all('GET', 'Observation/t17-other')).body as Observation;
    expect(kept.subject?.reference).toBe('Patient/t17-b');
    expect(kept.meta?.versionId).toBe('1');
  });

  it('with a query in the scope neither the old nor the new version may lie outside it', async () => {
    const imaging = await world.as({ scope: 'system/Observation.cru?category=imaging', subject: 'test-app' });
    await world.write(observation('t17-lab', 't17-a', { kind: 'laboratory' }));
    expect((await imaging('PUT', 'Observation/t17-lab', observation('t17-lab', 't17-a'))).status).toBe(404);
    const out = await imaging(
      'PUT',
      'Observation/t17-own',
      observation('t17-own', 't17-a', { kind: 'laboratory' }),
    );
    expect(out.status).toBe(403);
    expect((await imaging('POST', 'Observation', observation(undefined, 't17-b'))).status).toBe(201);
    expect(
      (await imaging('POST', 'Observation', observation(undefined, 't17-b', { kind: 'laboratory' }))).status,
    ).toBe(403);
  });

  it('a scope beyond the roles of the token gives nothing', async () => {
    const clinician = await world.patient('t17-a', 'patient/*.cruds', { roles: ['clinician'] });
    expect((await clinician('PUT', 'Observation/t17-own', moved('t17-own', 't17-a'))).status).toBe(403);
    expect((await clinician('DELETE', 'Observation/t17-own')).status).toBe(403);
    expect((await clinician('GET', 'Observation/t17-own')).status).toBe(200);
  });
});
