import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const ELEMENT = 'http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.';
const BACKTRACKING = "name.family.matches('^(a+)+$')";

/** Would stop an engine that walks them: by recursion, by a long chain, by growing to the power of two. */
const BOMBS: readonly (readonly [string, string])[] = [
  ['1,000 parentheses', `${'('.repeat(1_000)}Patient.name${')'.repeat(1_000)}`],
  ['parentheses that are not closed', `Patient.name.where(${'('.repeat(1_000)}`],
  ['5,000 times or', `Patient.where(${Array.from({ length: 5_000 }, () => 'true').join(' or ')})`],
  ['combine, eighteen times', `Patient.name${Array.from({ length: 18 }, () => '.combine($this)').join('')}`],
  [
    'combine of itself, eighteen times',
    Array.from({ length: 18 }).reduce<string>(
      (inner) => `(${inner}).combine(${inner.length > 400 ? 'name' : inner})`,
      'Patient.name',
    ),
  ],
  ['a pattern that goes back without end', `Patient.${BACKTRACKING}`],
  ['replaceMatches', "Patient.name.family.replaceMatches('(a+)+$', 'b')"],
  ['repeat', 'Patient.repeat(children())'],
  ['descendants', 'Patient.descendants()'],
  ['resolve', 'Patient.generalPractitioner.resolve().name'],
  ['trace', "Patient.name.trace('x')"],
  ['a function that nobody knows', 'Patient.name.frobnicate()'],
  ['1,000 indexers', `Patient.name${'[0]'.repeat(1_000)}`],
];

let server: PrelimServer;
let url: string;
beforeAll(async () => {
  url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  server = await PrelimServer.start({
    DATABASE_URL: url,
    LOG_LEVEL: 'debug',
  });
  await server.ask('PUT', '/fhir/Patient/p', {
    resourceType: 'Patient',
    id: 'p',
    name: [{ family: `${'a'.repeat(60)}!` }],
  });
  // Once each, so that what is measured is not the first load of code.
  await server.ask('POST', '/fhir/SearchParameter', searchParameter('Patient.name'));
  await server.ask('PATCH', '/fhir/Patient/p', fhirpathPatch('Patient.name[0].given'));
});
afterAll(() => server.close());

const topic = (trigger: object[]) => ({
  resourceType: 'Basic',
  code: { coding: [{ system: 'http://hl7.org/fhir/fhir-types', code: 'SubscriptionTopic' }] },
  extension: [
    { url: `${ELEMENT}url`, valueUri: 'http://example.org/topic/t12' },
    { url: `${ELEMENT}status`, valueCode: 'active' },
    { url: `${ELEMENT}resourceTrigger`, extension: trigger },
  ],
});
const searchParameter = (expression: string) => ({
  resourceType: 'SearchParameter',
  url: 'http://example.org/SearchParameter/t13',
  name: 't13',
  status: 'active',
  description: 'x',
  code: 't13',
  base: ['Patient'],
  type: 'string',
  expression,
});
const fhirpathPatch = (path: string) => ({
  resourceType: 'Parameters',
  parameter: [
    {
      name: 'operation',
      part: [
        { name: 'type', valueCode: 'delete' },
        { name: 'path', valueString: path },
      ],
    },
  ],
});

/** How long a request for nothing takes while `work` goes on: the lag of the server's event loop. */
async function worstWaitMs(work: () => Promise<unknown>): Promise<number> {
  let done = false;
  const working = work().finally(() => {
    done = true;
  });
  let worst = 0;
  while (!done) {
    const began = performance.now();
    await (await fetch(`${server.url}/health/live`)).text();
    worst = Math.max(worst, performance.now() - began);
  }
  await working;
  return worst;
}

/** What §5 allows on a machine that does nothing else. */
const ANSWER_MS_MAX = 50;
const LAG_MS_MAX = 100;
const WRITE_MS_MAX = 1_000;
/** A machine that others use too may be late by chance, but not so often: what costs more by itself is over in none of the tries. */
const TRIES = 30;
/** And where it is busy throughout: so many times what the same takes at that moment without a bomb. What these would cost if they ran are minutes. */
const TIMES_ORDINARY_MAX = 5;

/** Is the work over within `ms`, or soon after what ordinary work of the kind takes now? Both give milliseconds; the best of some tries counts. */
async function expectWithin(
  ms: number,
  work: () => Promise<number>,
  ordinary: () => Promise<number>,
): Promise<void> {
  let best = await work();
  let usual = Number.POSITIVE_INFINITY;
  for (let n = 1; n < TRIES && best >= ms; n++) {
    usual = Math.min(usual, await ordinary());
    best = Math.min(best, await work());
  }
  expect(best).toBeLessThan(best < ms ? ms : Math.max(ms, TIMES_ORDINARY_MAX * usual));
}

/** A write of a Patient whose name would keep the pattern busy for ever. */
async function writePatient(id: string, more: object = {}): Promise<void> {
  const put = { resourceType: 'Patient', id, name: [{ family: `${'a'.repeat(60)}!` }], ...more };
  const { status } = await server.ask('PUT', `/fhir/Patient/${id}`, put);
  // A profile may refuse it.
  expect('meta' in more ? [200, 201, 400, 422] : [200, 201]).toContain(status);
}

const ordinaryWrites = () =>
  worstWaitMs(async () => {
    for (let n = 0; n < 4; n++) await writePatient('ordinary', { active: n % 2 === 0 });
  });
const ordinaryRefusal = () =>
  timed(() => server.ask('POST', '/fhir/SearchParameter', { resourceType: 'SearchParameter' }));

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

describe('T12 a pattern that never ends', () => {
  it('T12 a topic with fhirPathCriteria is refused when it is created, whatever the expression', async () => {
    for (const expression of [BACKTRACKING, 'true', `Patient.${BACKTRACKING}`, '('.repeat(1_000)]) {
      const trigger = [
        { url: 'resource', valueUri: 'Patient' },
        { url: 'fhirPathCriteria', valueString: expression },
      ];
      const answer = await server.ask('POST', '/fhir/Basic', topic(trigger));
      expect([400, 422]).toContain(answer.status);
      expect(answer.text).not.toContain(expression);
    }
  });

  it('T12 what could run the pattern elsewhere does not: the loop of the server goes on, and the write is as quick as ever', async () => {
    await expectWithin(
      LAG_MS_MAX,
      () =>
        worstWaitMs(async () => {
          await server.ask('POST', '/fhir/SearchParameter', searchParameter(`Patient.${BACKTRACKING}`));
          await server.ask(
            'PATCH',
            '/fhir/Patient/p',
            fhirpathPatch(`Patient.name.where(family.matches('^(a+)+$'))`),
          );
          await server.ask('GET', `/fhir/Patient?_filter=${encodeURIComponent(BACKTRACKING)}`);
          await writePatient('q');
        }),
      ordinaryWrites,
    );
    await expectWithin(
      WRITE_MS_MAX,
      () => timed(() => writePatient('q')),
      () => timed(() => writePatient('ordinary')),
    );
  });

  it('T12 with the refusal off, as if the topic had come by another way: it counts as none, and the loop goes on', async () => {
    const basic = {
      ...topic([
        { url: 'resource', valueUri: 'Patient' },
        { url: 'fhirPathCriteria', valueString: `Patient.${BACKTRACKING}` },
      ]),
      id: 't12',
    };
    const sql = new pg.Client({ connectionString: url });
    await sql.connect();
    await sql.query(
      `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
      VALUES ('Basic', 't12', 1, now(), false, 'PUT', $1,
        ARRAY['Basic.code#SubscriptionTopic', 'Basic.code@http://hl7.org/fhir/fhir-types|SubscriptionTopic'])`,
      [JSON.stringify(basic)],
    );
    await sql.end();
    const subscription = {
      resourceType: 'Subscription',
      meta: {
        profile: ['http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription'],
      },
      status: 'requested',
      reason: 'test',
      criteria: 'http://example.org/topic/t12',
      channel: { type: 'websocket', payload: 'application/fhir+json' },
    };
    await expectWithin(
      LAG_MS_MAX,
      () =>
        worstWaitMs(async () => {
          const made = await server.ask('POST', '/fhir/Subscription', subscription);
          expect([400, 422]).toContain(made.status);
          for (let n = 0; n < 5; n++) await writePatient('q', { active: n % 2 === 0 });
        }),
      ordinaryWrites,
    );
  });
});

describe('T13 expressions that are bombs', () => {
  it.each(BOMBS)('T13 %s as a search parameter is 400 or 422 at once', async (_what, expression) => {
    await expectWithin(
      ANSWER_MS_MAX,
      () =>
        timed(async () => {
          const answer = await server.ask('POST', '/fhir/SearchParameter', searchParameter(expression));
          expect([400, 422]).toContain(answer.status);
          expect(answer.body.resourceType).toBe('OperationOutcome');
        }),
      ordinaryRefusal,
    );
  });

  it.each(BOMBS)('T13 %s as the path of a patch is 400 or 422 at once', async (_what, expression) => {
    await expectWithin(
      ANSWER_MS_MAX,
      () =>
        timed(async () => {
          const answer = await server.ask('PATCH', '/fhir/Patient/p', fhirpathPatch(expression));
          expect([400, 422]).toContain(answer.status);
          expect(answer.body.resourceType).toBe('OperationOutcome');
        }),
      ordinaryRefusal,
    );
  });

  it('T13 a StructureDefinition whose invariants are bombs makes no resource slow', async () => {
    for (const [n, [, expression]] of BOMBS.entries()) {
      const profile = {
        resourceType: 'StructureDefinition',
        id: `t13-${n}`,
        url: `http://example.org/StructureDefinition/t13-${n}`,
        name: `T13n${n}`,
        status: 'active',
        kind: 'resource',
        abstract: false,
        type: 'Patient',
        baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Patient',
        derivation: 'constraint',
        differential: {
          element: [
            {
              id: 'Patient',
              path: 'Patient',
              constraint: [{ key: 't13', severity: 'error', human: 'x', expression }],
            },
          ],
        },
      };
      const stored = await server.ask('PUT', `/fhir/StructureDefinition/t13-${n}`, profile);
      expect([201, 400, 422]).toContain(stored.status);
      await expectWithin(
        WRITE_MS_MAX,
        () => timed(() => writePatient('slow', { meta: { profile: [profile.url] } })),
        () => timed(() => writePatient('ordinary')),
      );
    }
  });

  it('T13 and the log knows of no failure', () => {
    expect(server.output()).not.toMatch(/RangeError|Maximum call stack|a request failed/);
  });
});
