import fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { FairQueue } from './fair-queue.ts';
import { addressKey } from './limit-rates.ts';
import { CONNECTIONS_KEPT_FREE, isSearch, leaveWhenFound, queueSearches } from './queue-searches.ts';
import { type RateUse, type RateUseStore, SharedRates, TOLD_PART } from './shared-rates.ts';
import { OWED_S_MAX, TokenBuckets } from './token-buckets.ts';

describe('token buckets', () => {
  it('give a burst, then the rate, and say when to come again', () => {
    const buckets = new TokenBuckets(2, 4);
    expect(Array.from({ length: 5 }, () => buckets.take('a', 1_000))).toEqual([0, 0, 0, 0, 1]);
    expect(buckets.take('a', 1_500)).toBe(0);
    expect(buckets.take('a', 1_500)).toBe(1);
    expect(buckets.take('b', 1_500)).toBe(0);
    const slow = new TokenBuckets(1 / 60, 1);
    expect([slow.take('a', 0), slow.take('a', 0), slow.take('a', 59_000), slow.take('a', 60_001)]).toEqual([
      0, 60, 1, 0,
    ]);
  });

  it('remember a bounded number of callers, and forget those first that lose nothing by it', () => {
    const buckets = new TokenBuckets(1, 2, 100);
    buckets.take('busy', 0);
    buckets.take('busy', 0);
    for (let n = 0; n < 1_000; n += 1) {
      buckets.take(`idle ${n}`, n * 5_000);
      if (n % 3 === 0) for (let again = 0; again < 6; again += 1) buckets.take('busy', n * 5_000);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
    for (let n = 0; n < 500; n += 1) buckets.take(`flood ${n}`, 5_000_000);
    expect(buckets.size).toBeLessThanOrEqual(100);
  });

  it('cost next to nothing', () => {
    const buckets = new TokenBuckets(1e9, 1e9);
    const began = performance.now();
    for (let n = 0; n < 200_000; n += 1) buckets.take('a', n);
    // 0.1 µs each here; a request takes hundreds.
    expect((performance.now() - began) / 200_000).toBeLessThan(0.01);
  });
});

/** Processes with one limit of 10 a second, 20 at once, and what they tell each other. */
function processes(count: number) {
  const rows = new Map<string, RateUse>();
  let writes = 0;
  const store: RateUseStore = {
    exchange: async (process, use) => {
      if (use !== null) {
        rows.set(process, use);
        writes += 1;
      }
      return new Map([...rows].filter(([name]) => name !== process).map((row) => structuredClone(row)));
    },
  };
  const made = Array.from({ length: count }, (_, at) => {
    const buckets = new TokenBuckets(10, 20);
    return { buckets, rates: new SharedRates({ client: buckets }, store, `p${at}`, () => 0) };
  });
  return { made, rows, writes: () => writes };
}

describe('limits of several processes', () => {
  it('are one limit: what one let through the others take from theirs, once', async () => {
    const { made } = processes(3);
    const [one, two, three] = made as [(typeof made)[0], (typeof made)[0], (typeof made)[0]];
    for (const { rates } of made) await rates.exchange();
    for (let n = 0; n < 15; n += 1) one.buckets.take('a', 0);
    await one.rates.exchange();
    for (let n = 0; n < 3; n += 1) await two.rates.exchange();
    for (let n = 0; n < 3; n += 1) two.buckets.take('a', 0);
    await two.rates.exchange();
    await three.rates.exchange();
    await one.rates.exchange();
    for (const { buckets } of made) {
      expect([buckets.take('a', 0), buckets.take('a', 0), buckets.take('a', 0)]).toEqual([0, 0, 1]);
      expect(buckets.take('b', 0)).toBe(0);
    }
  });

  it('tell of nobody who asks little, write nothing when there is nothing, and forget who has stopped', async () => {
    const { made, rows, writes } = processes(2);
    const [one] = made as [(typeof made)[0]];
    for (let n = 0; n < 5; n += 1) await one.rates.exchange();
    expect(writes()).toBe(0);
    const buckets = new TokenBuckets(3_200, 6_400);
    const wide = new SharedRates({ client: buckets }, storeOf(rows), 'wide');
    const take = (count: number) => {
      for (let n = 0; n < count; n += 1) buckets.take('a', 0);
      return wide.exchange();
    };
    await take(3_200 * TOLD_PART - 1);
    expect(rows.size).toBe(0);
    await take(3_200 * TOLD_PART);
    expect(rows.get('wide')).toEqual({ client: { a: 100 } });
    rows.clear();
    one.buckets.take('a', 0);
    await one.rates.exchange();
    expect(rows.get('p0')).toEqual({ client: { a: 1 } });
    for (let n = 0; n < 12; n += 1) await one.rates.exchange();
    expect(rows.get('p0')).toEqual({});
    const before = writes();
    await one.rates.exchange();
    expect(writes()).toBe(before);
  });

  it('do not count what was let through before a process came, nor owe more than a minute', async () => {
    const { made, rows } = processes(1);
    const [one] = made as [(typeof made)[0]];
    rows.set('old', { client: { a: 1_000_000 } });
    await one.rates.exchange();
    expect(one.buckets.take('a', 0)).toBe(0);
    rows.set('old', { client: { a: 2_000_000 } });
    await one.rates.exchange();
    expect(one.buckets.take('a', 0)).toBe(OWED_S_MAX + 1);
    // Begun anew: its count is what it let through since.
    rows.set('old', { client: { b: 19 } });
    await one.rates.exchange();
    expect([one.buckets.take('b', 0), one.buckets.take('b', 0)]).toEqual([0, 1]);
  });
});

const storeOf = (rows: Map<string, RateUse>): RateUseStore => ({
  exchange: async (process, use) => {
    if (use !== null) rows.set(process, use);
    return new Map();
  },
});

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::9', '2001:db8:1:2'],
    ['2001:DB8:0001:2::', '2001:db8:1:2'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ])('%s counts as %s', (address, key) => expect(addressKey(address)).toBe(key));
});

/** A server with one place for searches, whose answers wait after they were made until `send` is called. */
async function oneAtATime() {
  const server = fastify();
  const held: (() => void)[] = [];
  const seen = { atOnce: 0, most: 0, asked: 0 };
  leaveWhenFound(server);
  server.addHook('onSend', (_request, _reply, _payload, done) => {
    held.push(() => done());
  });
  queueSearches(server, { DATABASE_CONNECTIONS_MAX: CONNECTIONS_KEPT_FREE + 1 });
  server.get('/fhir/Patient', async () => {
    seen.asked += 1;
    seen.atOnce += 1;
    seen.most = Math.max(seen.most, seen.atOnce);
    await new Promise((resolve) => setTimeout(resolve, 5));
    seen.atOnce -= 1;
    return '{}';
  });
  await server.ready();
  return { server, seen, held };
}

describe('the place of a search', () => {
  it('goes to the next one when the answer is there, though it waits to be sent, and to one only', async () => {
    const { server, seen, held } = await oneAtATime();
    const answers = Promise.all(Array.from({ length: 4 }, () => server.inject('/fhir/Patient?name=x')));
    // Nobody has got an answer yet: each of them holds one back.
    while (held.length < 4) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(seen).toEqual({ atOnce: 0, most: 1, asked: 4 });
    for (const send of held) send();
    expect((await answers).map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200]);
    // The end of an answer gives no place a second time.
    const more = Array.from({ length: 3 }, () => server.inject('/fhir/Patient?name=x'));
    while (held.length < 7) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(seen).toEqual({ atOnce: 0, most: 1, asked: 7 });
    for (const send of held.slice(4)) send();
    await Promise.all(more);
    await server.close();
  });
});

describe('the queue of searches', () => {
  it('lets so many in, the others in turns by caller, and gives no place away twice', async () => {
    const queue = new FairQueue(2);
    const order: string[] = [];
    const enter = (caller: string) => {
      const place = queue.enter(caller);
      if (place) void place.then(() => order.push(caller));
      else order.push(caller);
    };
    for (let n = 0; n < 5; n += 1) enter('greedy');
    enter('other');
    enter('third');
    expect([order.length, queue.waitingCount]).toEqual([2, 5]);
    for (let n = 0; n < 5; n += 1) {
      queue.leave();
      await Promise.resolve();
    }
    expect(order).toEqual(['greedy', 'greedy', 'greedy', 'other', 'third', 'greedy', 'greedy']);
    expect(queue.waitingCount).toBe(0);
    queue.leave();
    queue.leave();
    expect([queue.enter('x'), queue.enter('x')]).toEqual([null, null]);
    expect(queue.enter('x')).not.toBeNull();
  });

  it.each([
    ['GET', '/fhir/Patient?name=x', true],
    ['GET', '/fhir/Patient', true],
    ['HEAD', '/fhir/Patient', true],
    ['GET', '/fhir', true],
    ['GET', '/fhir?_type=Patient', true],
    ['GET', '/fhir/_history', true],
    ['GET', '/fhir/Patient/_history', true],
    ['GET', '/fhir/Patient/1/_history', true],
    ['GET', '/fhir/Patient/1/Observation', true],
    ['GET', '/fhir/Patient/1/*', true],
    ['GET', '/fhir/Patient/1/$everything', true],
    ['POST', '/fhir/Patient/_search', true],
    ['GET', '/fhir/Patient/1', false],
    ['GET', '/fhir/Patient/1/_history/2', false],
    ['POST', '/fhir/Patient', false],
    ['PUT', '/fhir/Patient/1', false],
    ['GET', '/dicomweb/studies?x=1', false],
    ['GET', '/worklist/api/rows', false],
  ])('%s %s is one: %s', (method, url, expected) => expect(isSearch(method, url)).toBe(expected));
});
