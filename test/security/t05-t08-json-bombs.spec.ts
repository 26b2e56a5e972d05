import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { type Answer, PrelimServer } from '../peers/prelim-server.ts';
import { peakGrowthMb } from './server-memory.ts';

const JSON_TYPE = { 'content-type': 'application/fhir+json' };

let server: PrelimServer;
beforeAll(async () => {
  server = await PrelimServer.start({
    DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
    LOG_LEVEL: 'debug',
  });
  // Once through the whole way, so that what is measured is not the first parse.
  for (let n = 0; n < 20; n += 1)
    await send(PATIENT.replace('{', '{"id":"warm",'), 'PUT', '/fhir/Patient/warm');
});
afterAll(() => server.close());

const send = (text: string, method = 'POST', path = '/fhir/Patient') =>
  server.ask(method, path, text, JSON_TYPE);
const PATIENT = '{"resourceType":"Patient","active":true}';

async function askMetadataMs(): Promise<number> {
  const asked = performance.now();
  const answer = await fetch(`${server.url}/fhir/metadata`);
  await answer.arrayBuffer();
  expect(answer.status).toBe(200);
  return performance.now() - asked;
}

/** R4 http.html#rest-errors: an outcome, and in it nothing of the server's inside. */
function expectRefused(answer: Answer, statuses: readonly number[]): void {
  expect(statuses).toContain(answer.status);
  expect(answer.body?.resourceType).toBe('OperationOutcome');
  expect(answer.text).not.toMatch(/\bat [\w./]+:\d+|SELECT |INSERT |RangeError|SyntaxError|node_modules/);
}

const patients = async (): Promise<number> =>
  (await server.ask('GET', '/fhir/Patient?_total=accurate&_count=1')).body.total;

describe('T5 JSON that is nested without end', () => {
  it.each([65, 10_000, 2_000_000])(
    'T5 depth %i is 400 in less than a second, in less than 50 MB, while others are answered',
    async (depth) => {
      const deep = `{"resourceType":"Patient","extension":${'['.repeat(depth)}${']'.repeat(depth)}}`;
      const asObjects = `{"resourceType":"Patient","a":${'{"a":'.repeat(Math.min(depth, 300_000))}1${'}'.repeat(Math.min(depth, 300_000))}}`;
      for (const text of [deep, asObjects]) {
        const quiet = await Promise.all([askMetadataMs(), askMetadataMs(), askMetadataMs()]);
        let answer: Answer | null = null;
        let tookMs = 0;
        const others: number[] = [];
        const grewMb = await peakGrowthMb(server.pid, async () => {
          const began = performance.now();
          const refused = send(text).then((got) => {
            tookMs = performance.now() - began;
            answer = got;
          });
          while (answer === null) others.push(await askMetadataMs());
          await refused;
        });
        expectRefused(answer as unknown as Answer, [400, 413]);
        expect(tookMs).toBeLessThan(1_000);
        expect(grewMb).toBeLessThan(50);
        // 100 ms, with patience; where it takes long without a bomb, five times as long as that.
        expect(Math.max(...others)).toBeLessThan(Math.max(100 * PATIENCE, Math.max(...quiet) * 5));
      }
    },
  );
});

/** The limits of the clause are for a machine that does nothing else; the tests run several at a time. */
const PATIENCE = 3;

describe('T6 compressed bombs', () => {
  it('T6 a body in gzip, once or twice, is 413 or 415 and is not unpacked', async () => {
    const once = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20), { level: 9 });
    const twice = gzipSync(gzipSync(Buffer.alloc(512 * 1024 * 1024), { level: 9 }), { level: 9 });
    expect(twice.length).toBeLessThan(5_000);
    for (const [body, encoding] of [
      [once, 'gzip'],
      [once, 'x-gzip'],
      [once, 'deflate'],
      [once, 'br'],
      [twice, 'gzip, gzip'],
      [twice, 'gzip'],
    ] as const) {
      for (const path of [
        '/fhir/Patient',
        '/fhir',
        '/fhir/$import',
        '/dicomweb/studies',
        '/auth/token',
        '/jobs/1/replay',
      ]) {
        const grewMb = await peakGrowthMb(server.pid, async () => {
          const answer = await server.ask('POST', path, new Uint8Array(body), {
            ...JSON_TYPE,
            'content-encoding': encoding,
          });
          expect([413, 415], `${path} ${encoding}`).toContain(answer.status);
        });
        expect(grewMb).toBeLessThan(50);
      }
    }
  }, 60_000);
});

describe('T7 numbers and names that do harm', () => {
  const BAD: readonly (readonly [string, string])[] = [
    [
      '1,000 numbers of 131,000 digits',
      `{"resourceType":"Observation","status":"final","code":{"text":"c"},"component":[${Array.from({ length: 1_000 }, () => '{"code":{"text":"x"},"valueQuantity":{"value":1e131000}}').join(',')}]}`,
    ],
    [
      'a number beyond double',
      '{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1e400}}',
    ],
    ['U+0000', '{"resourceType":"Patient","name":[{"family":"a\\u0000b"}]}'],
    ['half a surrogate pair', '{"resourceType":"Patient","name":[{"family":"a\\ud800b"}]}'],
    ['a key twice', '{"resourceType":"Patient","id":"a","id":"b"}'],
    ['a key twice, once in escapes', '{"resourceType":"Patient","gender":"male","g\\u0065nder":"female"}'],
    ['__proto__', '{"resourceType":"Patient","__proto__":{"polluted":true}}'],
    ['__proto__ in escapes', '{"resourceType":"Patient","\\u005f_proto__":{"polluted":true}}'],
    ['constructor.prototype', '{"resourceType":"Patient","constructor":{"prototype":{"polluted":true}}}'],
    [
      'prototype deep inside',
      '{"resourceType":"Patient","name":[{"family":"x","prototype":{"polluted":true}}]}',
    ],
  ];

  it.each(BAD)('T7 %s is refused and nothing is stored', async (_what, text) => {
    const before = await patients();
    const type = (/"resourceType":"(\w+)"/.exec(text)?.[1] ?? '') as string;
    expectRefused(await send(text, 'POST', `/fhir/${type}`), [400, 422]);
    expectRefused(await send(text.replace('{', '{"id":"t7",'), 'PUT', `/fhir/${type}/t7`), [400, 422]);
    const inBundle = `{"resourceType":"Bundle","type":"batch","entry":[{"resource":${text},"request":{"method":"POST","url":"${type}"}}]}`;
    const bundled = await send(inBundle, 'POST', '/fhir');
    expect([200, 400, 422]).toContain(bundled.status);
    if (bundled.status === 200) expect(bundled.body.entry[0].response.status).toMatch(/^4(00|22)/);
    expect(await patients()).toBe(before);
  });

  it('T7 the prototype of the server’s objects is what it was: an unknown element is no member of everything', async () => {
    const answer = await send('{"resourceType":"Patient","polluted":true}');
    expectRefused(answer, [400, 422]);
  });

  it('T7 1.10 is read as 1.10, also in a search, a version and after an update', async () => {
    const text =
      '{"resourceType":"Observation","id":"decimal","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.10}}';
    expect((await send(text, 'PUT', '/fhir/Observation/decimal')).status).toBe(201);
    expect((await send(text.replace('1.10', '100.00'), 'PUT', '/fhir/Observation/decimal')).status).toBe(200);
    expect((await server.ask('GET', '/fhir/Observation/decimal')).text).toMatch(/"value": ?100\.00\b/);
    expect((await server.ask('GET', '/fhir/Observation/decimal/_history/1')).text).toMatch(
      /"value": ?1\.10\b/,
    );
    expect((await server.ask('GET', '/fhir/Observation?_id=decimal')).text).toMatch(/"value": ?100\.00\b/);
  });
});

describe('T8 too much of everything', () => {
  it('T8 100,000 codings, a Bundle of 501 entries and a Questionnaire of depth 400 are refused at once', async () => {
    const coding = `{"system":"http://example.org","code":"c"}`;
    const codings = `{"resourceType":"Observation","status":"final","code":{"coding":[${Array.from({ length: 100_000 }, () => coding).join(',')}]}}`;
    const entry = '{"request":{"method":"GET","url":"Patient/x"}}';
    const bundle = `{"resourceType":"Bundle","type":"batch","entry":[${Array.from({ length: 501 }, () => entry).join(',')}]}`;
    const questionnaire = `{"resourceType":"Questionnaire","status":"draft","item":[${'{"linkId":"1","type":"group","item":['.repeat(400)}${']}'.repeat(400)}]}`;
    for (const [text, path] of [
      [codings, '/fhir/Observation'],
      [bundle, '/fhir'],
      [questionnaire, '/fhir/Questionnaire'],
    ] as const) {
      const began = performance.now();
      expectRefused(await send(text, 'POST', path), [400, 413, 422]);
      expect(performance.now() - began).toBeLessThan(1_000 * PATIENCE);
    }
  });

  it('T8 20,000 bad codings make 50 issues at most, an answer below 50 kB and no long line in the log', async () => {
    const linesBefore = server.lines.length;
    const categories = Array.from(
      { length: 10_000 },
      (_, n) => `{"coding":[{"system":"not a uri ${n}","code":" "},{"bad":1}]}`,
    );
    const text = `{"resourceType":"Observation","status":"final","code":{"text":"c"},"category":[${categories.join(',')}]}`;
    const answer = await send(text, 'POST', '/fhir/Observation');
    expectRefused(answer, [400, 413, 422]);
    expect(answer.body.issue.length).toBeLessThanOrEqual(50);
    expect(answer.text.length).toBeLessThan(50_000);
    const asked = await send(text, 'POST', '/fhir/Observation/$validate');
    expect(asked.body.issue.length).toBeLessThanOrEqual(50);
    const logged = server.lines.slice(linesBefore).map((line) => line.length);
    expect(Math.max(0, ...logged)).toBeLessThan(2_000);
  });

  it('T8 and the server goes on', async () => {
    expect((await send(PATIENT)).status).toBe(201);
    expect(server.output()).not.toMatch(/RangeError|heap out of memory/);
  });
});
