import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, type Ask, idsIn, observation, person } from './access-world.ts';

let world: AccessWorld;
let app: Ask;
let other: Ask;

beforeAll(async () => {
  world = await AccessWorld.start();
  await world.write(person('t19-a', 'Alpha'));
  await world.write(person('t19-b', 'Beta'));
  await world.write({ resourceType: 'Organization', id: 't19-org', name: 'Clinic' });
  for (const [id, patient] of [
    ['t19-oa', 't19-a'],
    ['t19-ob', 't19-b'],
  ] as const)
    await world.write(observation(id, patient, { performer: [{ reference: 'Organization/t19-org' }] }));
  await world.write({
    resourceType: 'DiagnosticReport',
    id: 't19-report',
    status: 'final',
    code: { text: 'report' },
    subject: { reference: 'Patient/t19-a' },
    result: [{ reference: 'Observation/t19-oa' }, { reference: 'Observation/t19-ob' }],
  });
  // One that is B's and refers to A's report.
  await world.write(observation('t19-back', 't19-b', { derivedFrom: [{ reference: 'Observation/t19-oa' }] }));
  await world.write({
    resourceType: 'Provenance',
    id: 't19-prov',
    target: [{ reference: 'Patient/t19-b' }, { reference: 'Observation/t19-oa' }],
    recorded: '2026-01-01T00:00:00Z',
    agent: [{ who: { display: 'RIS' } }],
  });
  for (let at = 0; at < 5; at++)
    await world.write(observation(`t19-page${at}`, at % 2 === 0 ? 't19-a' : 't19-b'));
  app = await world.patient('t19-a', 'patient/*.rs');
  other = await world.patient('t19-b', 'patient/*.rs');
}, 120_000);
afterAll(() => world?.close());

describe('T19: includes bring nothing that a search would not show', () => {
  it('_include=DiagnosticReport:result leaves the other patient’s Observation out', async () => {
    const answer = await app('GET', 'DiagnosticReport?_include=DiagnosticReport:result&_total=accurate');
    expect(idsIn(answer)).toEqual(['DiagnosticReport/t19-report', 'Observation/t19-oa']);
    expect(answer.body.total).toBe(1);
    // The reference itself is content of what may be seen.
    expect(answer.text).toContain('Observation/t19-ob');
  });

  it('_revinclude brings nothing of another patient, nor what no compartment rule lets in', async () => {
    const back = await app(
      'GET',
      'Observation?_id=t19-oa&_revinclude=Observation:derived-from&_revinclude=Provenance:target',
    );
    expect(idsIn(back)).toEqual(['Observation/t19-oa']);
  });

  it(':iterate goes no further than the rights', async () => {
    const answer = await app(
      'GET',
      'DiagnosticReport?_include=DiagnosticReport:result&_include:iterate=Observation:subject&_revinclude:iterate=Observation:derived-from',
    );
    expect(idsIn(answer)).toEqual(['DiagnosticReport/t19-report', 'Observation/t19-oa', 'Patient/t19-a']);
  });

  it('what is nobody’s own comes along', async () => {
    const answer = await app('GET', 'Observation?_id=t19-oa&_include=Observation:performer');
    expect(idsIn(answer)).toEqual(['Observation/t19-oa', 'Organization/t19-org']);
  });

  it('a total counts only what is seen', async () => {
    const mine = await app('GET', 'Observation?_summary=count');
    const theirs = await other('GET', 'Observation?_summary=count');
    const all = await world.all('GET', 'Observation?_summary=count');
    expect([mine.body.total, theirs.body.total, all.body.total]).toEqual([4, 4, 8]);
  });

  it('a cursor holds no authority: with another token it gives that token’s own view', async () => {
    const first = await app('GET', 'Observation?_count=1&_sort=_id');
    const next = first.body.link.find((link: { relation: string }) => link.relation === 'next').url as string;
    const path = new URL(next).pathname + new URL(next).search;
    const own = idsIn(await other('GET', path));
    for (const id of own)
      expect([
        'Observation/t19-back',
        'Observation/t19-ob',
        'Observation/t19-page1',
        'Observation/t19-page3',
      ]).toContain(id);
    expect(idsIn(await app('GET', path))).toEqual(['Observation/t19-page0']);
  });

  it('$everything of the own record follows no reference into another', async () => {
    const answer = await app('GET', 'Patient/t19-a/$everything');
    expect(idsIn(answer)).toEqual([
      'DiagnosticReport/t19-report',
      'Observation/t19-oa',
      'Observation/t19-page0',
      'Observation/t19-page2',
      'Observation/t19-page4',
      'Organization/t19-org',
      'Patient/t19-a',
    ]);
    expect((await app('GET', 'Patient/t19-b/$everything')).status).toBe(404);
  });
});
