import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../peers/prelim-server.ts';
import { AccessWorld, type Ask, observation, person } from './access-world.ts';

let world: AccessWorld;
let a: Ask;
let b: Ask;
let moment: string;

beforeAll(async () => {
  world = await AccessWorld.start();
  await world.write(person('t22-a', 'Alpha'));
  await world.write(person('t22-b', 'Beta'));
  // Versions 1 and 2 are A's, 3 and 4 are B's: a wrong patient was corrected.
  await world.write(observation('t22-moved', 't22-a', { note: [{ text: 'first of A' }] }));
  await world.write(observation('t22-moved', 't22-a', { note: [{ text: 'second of A' }] }));
  await sleep(20);
  moment = new Date().toISOString();
  await sleep(20);
  await world.write(observation('t22-moved', 't22-b', { note: [{ text: 'third of B' }] }));
  await world.write(observation('t22-moved', 't22-b', { note: [{ text: 'fourth of B' }] }));
  await world.write(observation('t22-gone', 't22-a', { note: [{ text: 'deleted of A' }] }));
  expect((await world.all('DELETE', 'Observation/t22-gone')).status).toBe(204);
  a = await world.patient('t22-a', 'patient/*.rs');
  b = await world.patient('t22-b', 'patient/*.rs');
}, 120_000);
afterAll(() => world?.close());

const notes = (answer: Answer): string[] =>
  (answer.body.entry ?? []).map(
    (one: { resource?: { note?: { text: string }[] } }) => one.resource?.note?.[0]?.text,
  );

const ofType = () => [
  'Observation/_history',
  `Observation/_history?_since=2000-01-01T00:00:00Z`,
  `Observation/_history?_at=${moment}`,
];

describe('T22: a version is judged as it was and as the resource is now', () => {
  it('A sees nothing of it after the move: no read, no history, no version', async () => {
    for (const path of [
      'Observation/t22-moved',
      'Observation/t22-moved/_history',
      ...[1, 2, 3, 4].map((n) => `Observation/t22-moved/_history/${n}`),
    ])
      expect((await a('GET', path)).status, path).toBe(404);
    for (const path of ofType()) expect(notes(await a('GET', path))).toEqual([]);
  });

  it('B sees it from the move on, and nothing from before', async () => {
    expect((await b('GET', 'Observation/t22-moved')).status).toBe(200);
    expect((await b('GET', 'Observation/t22-moved/_history/1')).status).toBe(404);
    expect((await b('GET', 'Observation/t22-moved/_history/2')).status).toBe(404);
    expect((await b('GET', 'Observation/t22-moved/_history/3')).status).toBe(200);
    expect((await b('GET', 'Observation/t22-moved/_history/4')).status).toBe(200);
    const history = await b('GET', 'Observation/t22-moved/_history');
    expect(notes(history)).toEqual(['fourth of B', 'third of B']);
    expect(history.body.total).toBe(2);
  });

  it('_since, _at and pages of one are no way round', async () => {
    expect(notes(await b('GET', 'Observation/t22-moved/_history?_since=2000-01-01T00:00:00Z'))).toEqual([
      'fourth of B',
      'third of B',
    ]);
    expect(notes(await b('GET', `Observation/t22-moved/_history?_at=${moment}`))).toEqual([]);
    const seen: string[] = [];
    let path = 'Observation/_history?_count=1';
    for (let page = 0; page < 10 && path !== ''; page++) {
      const answer = await b('GET', path);
      expect(answer.status).toBe(200);
      seen.push(...notes(answer));
      const next = answer.body.link.find((one: { relation: string }) => one.relation === 'next')?.url;
      path = next ? new URL(next).pathname + new URL(next).search : '';
    }
    expect(seen).toEqual(['fourth of B', 'third of B']);
  });

  it('the history of the system leaves them out as well', async () => {
    const answer = await b('GET', '_history');
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('of A');
    expect(answer.text).toContain('third of B');
  });

  it('of a deleted resource a token for one patient gets nothing; one that sees all gets its history', async () => {
    for (const path of [
      'Observation/t22-gone',
      'Observation/t22-gone/_history',
      'Observation/t22-gone/_history/1',
      'Observation/t22-gone/_history/2',
    ])
      expect((await a('GET', path)).status, path).toBe(404);
    expect((await world.all('GET', 'Observation/t22-gone')).status).toBe(410);
    expect(notes(await world.all('GET', 'Observation/t22-gone/_history'))).toEqual([
      undefined,
      'deleted of A',
    ]);
  });

  it('whoever sees all sees all four versions', async () => {
    expect(notes(await world.all('GET', 'Observation/t22-moved/_history'))).toEqual([
      'fourth of B',
      'third of B',
      'second of A',
      'first of A',
    ]);
  });
});
