import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dicomFile } from '../peers/dicom-file.ts';
import { AccessWorld, type Ask, idsIn, observation, person } from './access-world.ts';
import { HIDDEN, HIDDEN_STUDY, OPTED_OUT, ofNobody, QUESTIONS, type Question } from './hidden-questions.ts';

let world: AccessWorld;
let app: Ask;

beforeAll(async () => {
  // With references checked, a write must not tell what is there either.
  world = await AccessWorld.start({ FHIR_REFERENTIAL_INTEGRITY: 'check', STUDY_QUIET_MS: '600000' });
  await world.write(person('t21-a', 'Alpha'));
  await world.write(person('t21-b', 'Beta'));
  const identifier = [{ system: 'https://t21.example', value: 'B-1' }];
  await world.write(observation('t21-b1', 't21-b', { identifier }));
  await world.write(observation('t21-a1', 't21-a', { hasMember: [{ reference: 'Observation/t21-b1' }] }));
  app = await world.patient('t21-a', 'patient/*.cruds', { roles: ['integrator'] });
}, 120_000);
afterAll(() => world?.close());

/** Answers to a hidden and to an unknown id, made alike. */
const alike = (text: string) =>
  text
    .replaceAll('t21-b1', 'X')
    .replaceAll('t21-none', 'X')
    .replaceAll('t21-b', 'X')
    .replaceAll('t21-zero', 'X');

describe('T21: what one may not see is as if it were not', () => {
  it('a reference in what one may see stays, and leads to 404, not 403', async () => {
    expect((await app('GET', 'Observation/t21-a1')).text).toContain('Observation/t21-b1');
    expect((await app('GET', 'Observation/t21-b1')).status).toBe(404);
  });

  it.each([
    ['GET', 'Observation/ID', undefined],
    ['GET', 'Observation/ID/_history', undefined],
    ['GET', 'Observation/ID/_history/1', undefined],
    ['GET', 'Observation/ID/$meta', undefined],
    ['DELETE', 'Observation/ID', undefined],
    ['PUT', 'Observation/ID', 'resource'],
    ['PATCH', 'Observation/ID', 'patch'],
  ])('%s %s answers a hidden id as an unknown one', async (method, path, kind) => {
    const of = (id: string) => {
      const target = path.replace('ID', id);
      if (kind === 'patch')
        return app(method, target, JSON.stringify([{ op: 'replace', path: '/status', value: 'amended' }]), {
          'content-type': 'application/json-patch+json',
        });
      return app(method, target, kind === 'resource' ? observation(id, 't21-a') : undefined);
    };
    const [hidden, unknown] = [await of('t21-b1'), await of('t21-none')];
    expect(hidden.status).toBe(unknown.status);
    expect(alike(hidden.text)).toBe(alike(unknown.text));
    expect((await world.all('GET', 'Observation/t21-b1')).body.meta.versionId).toBe('1');
  });

  it.each([
    ['PUT', { 'if-match': 'W/"1"' }],
    ['PUT', { 'if-match': 'W/"9"' }],
    ['PUT', { 'if-none-match': '*' }],
    ['DELETE', { 'if-match': 'W/"1"' }],
  ])('%s under %o says nothing of versions either', async (method, headers) => {
    const of = (id: string) =>
      app(method, `Observation/${id}`, method === 'PUT' ? observation(id, 't21-a') : undefined, headers);
    const [hidden, unknown] = [await of('t21-b1'), await of('t21-none')];
    expect(hidden.status).toBe(unknown.status);
    expect(alike(hidden.text)).toBe(alike(unknown.text));
    if (method === 'PUT') expect(hidden.status).toBe(404);
  });

  it('If-None-Exist that only a hidden resource meets is no match: a resource is made', async () => {
    const made = await app('POST', 'Observation', observation(undefined, 't21-a'), {
      'if-none-exist': 'identifier=https://t21.example|B-1',
    });
    expect(made.status).toBe(201);
    expect(made.body.id).not.toBe('t21-b1');
  });

  it('a conditional update that only a hidden resource meets is no match, never 412', async () => {
    const sent = observation(undefined, 't21-a', {
      identifier: [{ system: 'https://t21.example', value: 'B-2' }],
    });
    await world.write({ ...observation('t21-b2', 't21-b'), identifier: sent.identifier });
    const first = await app('PUT', 'Observation?identifier=https://t21.example|B-2', sent);
    expect(first.status).toBe(201);
    // Now there are two, of which the caller sees one: an update, not "several match".
    const again = await app('PUT', 'Observation?identifier=https://t21.example|B-2', {
      ...sent,
      status: 'amended',
    });
    expect(again.status).toBe(200);
    expect((await world.all('GET', 'Observation/t21-b2')).body.meta.versionId).toBe('1');
  });

  it('a conditional update may not choose an id, hidden or not', async () => {
    const of = (id: string) =>
      app('PUT', 'Observation?identifier=https://t21.example|nobody', observation(id, 't21-a'));
    const [hidden, unknown] = [await of('t21-b1'), await of('t21-none')];
    expect([hidden.status, unknown.status]).toEqual([403, 403]);
    expect(alike(hidden.text)).toBe(alike(unknown.text));
  });

  it('conditional delete and patch find nothing', async () => {
    const query = 'Observation?identifier=https://t21.example|B-1&status=final&_id=t21-b1';
    expect((await app('DELETE', query)).status).toBe(204);
    const patch = JSON.stringify([{ op: 'replace', path: '/status', value: 'amended' }]);
    const type = { 'content-type': 'application/json-patch+json' };
    expect((await app('PATCH', query, patch, type)).status).toBe(404);
    expect((await world.all('GET', 'Observation/t21-b1')).body.meta.versionId).toBe('1');
  });

  it('a conditional reference to what is hidden matches nothing', async () => {
    const bundle = (value: string) => ({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          resource: {
            ...observation(undefined, 't21-a'),
            hasMember: [
              {
                reference: `Observation?identifier=https://t21.example|${value}&_id=${value === 'B-1' ? 't21-b1' : 't21-none'}`,
              },
            ],
          },
          request: { method: 'POST', url: 'Observation' },
        },
      ],
    });
    const [hidden, unknown] = [await app('POST', '', bundle('B-1')), await app('POST', '', bundle('none'))];
    expect(hidden.status).toBe(unknown.status);
    expect(hidden.status).toBe(400);
  });

  it('a reference to what is hidden is refused as one to what is not there, where references are checked', async () => {
    const of = (id: string, id2: string) => [
      app(
        'POST',
        'Observation',
        observation(undefined, 't21-a', { hasMember: [{ reference: `Observation/${id}` }] }),
      ),
      app(
        'POST',
        'Observation',
        observation(undefined, 't21-a', { focus: [{ reference: `Patient/${id2}` }] }),
      ),
      app(
        'POST',
        'Observation',
        observation(undefined, 't21-a', { partOf: [{ reference: `Procedure/${id2}` }] }),
      ),
    ];
    const hidden = await Promise.all(of('t21-b1', 't21-b'));
    const unknown = await Promise.all(of('t21-none', 't21-zero'));
    for (const [at, one] of hidden.entries()) {
      expect([one.status, unknown[at]?.status]).toEqual([422, 422]);
      expect(alike(one.text)).toBe(alike(unknown[at]?.text ?? ''));
    }
    const seen = observation(undefined, 't21-a', { hasMember: [{ reference: 'Observation/t21-a1' }] });
    expect((await app('POST', 'Observation', seen)).status).toBe(201);
    // Who sees all of it may refer to all of it.
    const theirs = observation(undefined, 't21-a', { hasMember: [{ reference: 'Observation/t21-b1' }] });
    expect((await world.all('POST', 'Observation', theirs)).status).toBe(201);
  });

  it('another patient’s id in the URL of an operation or compartment is an unknown one', async () => {
    for (const path of ['Patient/ID/$everything', 'Patient/ID', 'Patient/ID/_history']) {
      const [hidden, unknown] = [
        await app('GET', path.replace('ID', 't21-b')),
        await app('GET', path.replace('ID', 't21-zero')),
      ];
      expect(hidden.status, path).toBe(404);
      expect(alike(hidden.text)).toBe(alike(unknown.text));
    }
    expect(idsIn(await app('GET', 'Patient/t21-b/Observation'))).toEqual([]);
  });
});

describe('T21: at every door a question about somebody who is hidden is answered as one about nobody', () => {
  beforeAll(async () => {
    for (const one of [...HIDDEN, OPTED_OUT]) await world.write(one);
    await world.write(
      observation('t21-a2', 't21-a', {
        hasMember: [{ reference: 'Observation/t21-h-o' }],
        focus: [{ reference: 'Patient/t21-h' }],
      }),
    );
    const uid = HIDDEN_STUDY;
    const file = dicomFile({ study: uid, series: `${uid}.1`, sop: `${uid}.1.1` });
    const [head, end] = ['--b\r\nContent-Type: application/dicom\r\n\r\n', '\r\n--b--\r\n'];
    const stored = await world.server.ask(
      'POST',
      '/dicomweb/studies',
      Buffer.concat([Buffer.from(head), file, Buffer.from(end)]),
      { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' },
    );
    expect(stored.status).toBe(200);
  });

  it.each<[string, () => Promise<Ask>]>([
    ['the app of another patient', async () => app],
    ['a role that does not see the label', () => world.as({ scope: 'user/*.cruds', roles: ['radiologist'] })],
    ['a role that consent shuts out', () => world.as({ scope: 'user/*.rs', roles: ['auditor'] })],
    [
      'a client with scopes of a part',
      () => {
        const parts = [
          'Observation.cruds?category=laboratory',
          'Patient.cruds?_security=N',
          'Group.rs?type=animal',
        ];
        return world.as({ scope: parts.map((one) => `system/${one}`).join(' '), subject: 'test-app' });
      },
    ],
  ])(
    'to %s',
    async (_, who) => {
      const ask = await who();
      const faults: string[] = [];
      const judge = async (question: Question) => {
        const [nobody, hidden] = [await put(ask, nobodys(question)), await put(ask, question)];
        if (nobody !== hidden || /^5/.test(hidden))
          faults.push(`${question[0]} ${question[1]}: ${hidden} | ${nobody}`);
      };
      const isQuestion = ([method]: Question) => method === 'GET' || method === 'HEAD';
      const reads = QUESTIONS.filter(isQuestion);
      while (reads.length > 0) await Promise.all(reads.splice(0, 8).map(judge));
      // What may write goes one by one, so that the two answers are about the same record.
      for (const question of QUESTIONS.filter((one) => !isQuestion(one))) await judge(question);
      expect(faults).toEqual([]);
    },
    60_000,
  );

  it('and nothing of theirs was changed, but it is there for who may see it', async () => {
    for (const { resourceType, id } of [...HIDDEN, OPTED_OUT]) {
      const answer = await world.all('GET', `${resourceType}/${id}`, undefined, {
        accept: 'application/fhir+json',
      });
      expect([answer.status, answer.headers.get('etag')]).toEqual([200, 'W/"1"']);
    }
    // The questions do find something, where they are allowed.
    const found = QUESTIONS.filter(([method, path]) => method === 'GET' && path.includes('_summary=count'));
    const totals = await Promise.all(
      found.map(async ([, path]) => (await world.all('GET', path)).body.total),
    );
    expect(totals.filter((total) => total > 0).length).toBeGreaterThan(QUESTIONS_THAT_FIND_MIN);
  });
});

/** Of the searches, those that this server answers and that somebody who sees all is shown something by. */
const QUESTIONS_THAT_FIND_MIN = 20;

const nobodys = ([method, path, body, headers]: Question): Question => [
  method,
  ofNobody(path),
  typeof body === 'string' ? ofNobody(body) : body && JSON.parse(ofNobody(JSON.stringify(body))),
  headers && JSON.parse(ofNobody(JSON.stringify(headers))),
];

/** Of each answer its own, or of the limits that both use up. */
const OF_EACH_ANSWER = /^(date|content-length|last-modified|ratelimit.*|x-request-id)$/;

/** What is answered, without what is of each answer alone. */
async function put(ask: Ask, [method, path, body, headers]: Question): Promise<string> {
  const answer = await ask(method, path, body, headers);
  const names = [...answer.headers].filter(([name]) => !OF_EACH_ANSWER.test(name));
  return ofNobody(`${answer.status} ${JSON.stringify(names)} ${answer.text}`)
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/_cursor=[^"&]*/g, 'CURSOR')
    .replace(/\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)/g, 'TIME');
}
