import { describe, expect, it } from 'vitest';
import { acknowledgements } from '../../src/hl7/ack.ts';
import { BUSY_PER_S, DoorLoad, REST_FACTOR, REST_MS_MAX, WINDOW_MS } from '../../src/hl7/door-load.ts';
import { frame, MllpFrameDecoder } from '../../src/hl7/mllp-frame.ts';
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_ADDRESS_MAX,
  UNANSWERED_BYTES_MAX,
} from '../../src/hl7/mllp-server.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { GROUP_ITEMS_MAX, GroupCommit } from '../../src/kernel/group-commit.ts';
import { GROUPS_IN_FLIGHT_MAX, INLET_GROUPS } from '../../src/steps/inlet/message-inlet.ts';
import { message, mllpWorld } from './mllp-world.ts';

const { startServer, dial } = mllpWorld();

describe('The limits of the MLLP server', () => {
  it('discards a frame that is not whole in time, however regularly its bytes come', async () => {
    const { port, events } = await startServer({ frameMs: 300, frameSilenceMs: 200 });
    const { socket, closed, acks } = dial(port);
    socket.write(Buffer.of(0x0b));
    const drip = setInterval(() => socket.write('x'), 20);
    await closed;
    clearInterval(drip);
    expect(events).toEqual(['too-slow']);
    expect(acks()).toEqual([]);
  });

  it('gives each frame its own time', async () => {
    const { port, events } = await startServer({ frameMs: 400 });
    const { socket, acks } = dial(port);
    for (let n = 0; n < 4; n += 1) {
      const bytes = frame(message(`${n}`));
      socket.write(bytes.subarray(0, 20));
      await new Promise((resolve) => setTimeout(resolve, 150));
      socket.write(bytes.subarray(20));
      await expect.poll(acks).toHaveLength(n + 1);
    }
    expect(events).toEqual([]);
  });

  it('holds no more bytes than it may, and answers usual messages meanwhile', async () => {
    const max = 4 * 1024 * 1024;
    const { server, port } = await startServer({ unansweredBytesMax: max });
    const half = Buffer.alloc(2 * 1024 * 1024, 'x');
    const large = Array.from({ length: 8 }, (_, at) => {
      const one = dial(port);
      one.socket.write(Buffer.concat([Buffer.of(0x0b), message(`L${at}`), half]));
      return one;
    });
    await expect.poll(() => server.unansweredBytes).toBeGreaterThanOrEqual(max);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // All frames together are 16 MiB; what is read beyond the bound is the first one's and a packet of each other.
    expect(server.unansweredBytes).toBeLessThan(max + half.length + 8 * 65_536 * 2);
    const usual = dial(port);
    const began = performance.now();
    usual.socket.write(frame(message('USUAL', 'y'.repeat(2_000))));
    await expect.poll(usual.acks, { interval: 5 }).toEqual(['AA USUAL']);
    expect(performance.now() - began).toBeLessThan(1_000);
    for (const { socket } of large) socket.write(Buffer.of(0x1c, 0x0d));
    for (const [at, { acks }] of large.entries())
      await expect.poll(acks, { timeout: 5_000 }).toEqual([`AA L${at}`]);
    expect(server.unansweredBytes).toBe(0);
  });

  it('goes on when a connection that held the memory goes away', async () => {
    const { server, port } = await startServer({ unansweredBytesMax: 1_000_000 });
    const hog = dial(port);
    hog.socket.write(Buffer.concat([Buffer.of(0x0b), Buffer.alloc(1_500_000, 'x')]));
    await expect.poll(() => server.unansweredBytes).toBeGreaterThan(1_000_000);
    const next = dial(port);
    next.socket.write(frame(message('NEXT', 'y'.repeat(1_200_000))));
    await new Promise((resolve) => setTimeout(resolve, 100));
    hog.socket.destroy();
    await expect.poll(next.acks, { timeout: 5_000 }).toEqual(['AA NEXT']);
    expect(server.unansweredBytes).toBe(0);
  });

  it('takes so many connections and drops what is beyond', async () => {
    const { server, port, events } = await startServer();
    const all = Array.from({ length: CONNECTIONS_MAX }, (_, at) =>
      dial(port, 1 + Math.floor(at / CONNECTIONS_PER_ADDRESS_MAX)),
    );
    await expect.poll(() => server.connectionCount).toBe(CONNECTIONS_MAX);
    await dial(port, 99).closed;
    expect(events).toEqual(['refused-connection']);
    all[0]!.socket.write(frame(message('1')));
    await expect.poll(all[0]!.acks).toEqual(['AA 1']);
  });

  it('takes so many connections of one address, and others meanwhile', async () => {
    const { server, port, events } = await startServer();
    for (let at = 0; at < CONNECTIONS_PER_ADDRESS_MAX; at += 1) dial(port);
    await expect.poll(() => server.connectionCount).toBe(CONNECTIONS_PER_ADDRESS_MAX);
    await dial(port).closed;
    expect(events).toEqual(['refused-connection']);
    const other = dial(port, 2);
    other.socket.write(frame(message('1')));
    await expect.poll(other.acks).toEqual(['AA 1']);
  });

  it('answers a burst of 10,000 messages on one connection in order, with little read ahead', async () => {
    let most = 0;
    const { server, port } = await startServer({
      onMessage: async (bytes) => {
        most = Math.max(most, server.unansweredBytes);
        return acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' });
      },
    });
    const { socket, acks } = dial(port);
    const ids = Array.from({ length: 10_000 }, (_, at) => `${at}`);
    socket.write(Buffer.concat(ids.map((id) => frame(message(id, 'z'.repeat(500))))));
    await expect.poll(() => acks().length, { timeout: 10_000, interval: 100 }).toBe(ids.length);
    expect(acks()).toEqual(ids.map((id) => `AA ${id}`));
    expect(most).toBeLessThan(1_000_000);
  });

  it('needs no memory for packets: a large frame byte by byte is gathered in blocks', () => {
    const decoder = new MllpFrameDecoder();
    decoder.push(Buffer.of(0x0b));
    const byte = Buffer.of(0x41);
    const before = process.memoryUsage().rss;
    for (let n = 0; n < 2_000_000; n += 1) decoder.push(byte);
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000);
    expect(decoder.heldBytes).toBe(2_000_000);
    expect(decoder.push(Buffer.of(0x1c, 0x0d))[0]).toEqual(Buffer.alloc(2_000_000, 'A'));
  });

  it('are as documented', () => {
    expect([CONNECTIONS_MAX, UNANSWERED_BYTES_MAX]).toEqual([256, 67_108_864]);
  });
});

describe('The group commit', () => {
  it('takes together what comes while a group is under way, up to its limit, in order', async () => {
    const groups: number[][] = [];
    const group = new GroupCommit<number, number>(async (items) => {
      groups.push([...items]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return items;
    }, INLET_GROUPS);
    const all = Array.from({ length: 300 }, (_, at) => at);
    expect(await Promise.all(all.map((one) => group.add(one, [String(one)])))).toEqual(all);
    expect(groups.flat().toSorted((a, b) => a - b)).toEqual(all);
    expect(Math.max(...groups.map((one) => one.length))).toBe(GROUP_ITEMS_MAX);
  });

  it('has at most so many groups under way, never two items with one key and never two groups of one lane', async () => {
    const underWay = new Map<string, number>();
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const lane = {};
    const group = new GroupCommit<number, number>(async (items) => {
      running += 1;
      most = Math.max(most, running);
      for (const one of items.filter((item) => item < 60)) {
        const key = String(one % 7);
        underWay.set(key, (underWay.get(key) ?? 0) + 1);
        expect(underWay.get(key)).toBe(1);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
      for (const one of items) underWay.delete(String(one % 7));
      order.push(...items.filter((one) => one >= 1_000));
      running -= 1;
      return items;
    }, INLET_GROUPS);
    const keyed = Array.from({ length: 60 }, (_, at) => group.add(at, [String(at % 7)]));
    const laned = Array.from({ length: 70 }, (_, at) => group.add(1_000 + at, [`l${at}`], 0, lane));
    const free = Array.from({ length: 100 }, (_, at) => group.add(500 + at, [`f${at}`]));
    await Promise.all([...keyed, ...laned, ...free]);
    expect(most).toBe(GROUPS_IN_FLIGHT_MAX);
    expect(order).toEqual(Array.from({ length: 70 }, (_, at) => 1_000 + at));
  });

  it('tries each alone when a group fails for good, and none again when the database is away', async () => {
    let runs = 0;
    const group = new GroupCommit<string, string>(async (items) => {
      runs += 1;
      if (items.includes('away')) throw new Failure('database.unavailable', 'gone');
      if (items.includes('bad')) throw new Error('bad');
      return items;
    }, INLET_GROUPS);
    const first = group.add('warm', ['w']);
    const some = ['a', 'bad', 'b'].map((one) => group.add(one, [one]));
    expect(await first.then(() => Promise.allSettled(some))).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected' },
      { status: 'fulfilled' },
    ]);
    runs = 0;
    const away = ['c', 'away', 'd'].map((one) => group.add(one, [one]));
    expect((await Promise.allSettled(away)).map((one) => one.status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(runs).toBeLessThan(3);
  });
});

describe('Work beside the door', () => {
  it('rests while the door is busy, for a bounded time, and not a moment otherwise', () => {
    let now = 1_000;
    const load = new DoorLoad(() => now);
    expect([load.isActive, load.isBusy, load.restMs(50)]).toEqual([false, false, 0]);
    load.took((BUSY_PER_S * WINDOW_MS) / 1_000);
    expect([load.restMs(50), load.restMs(10_000)]).toEqual([50 * REST_FACTOR, REST_MS_MAX]);
    now += WINDOW_MS;
    expect(load.isBusy).toBe(true);
    now += WINDOW_MS;
    expect([load.isBusy, load.restMs(50)]).toEqual([false, 0]);
    for (let n = 0; n < 200; n += 1) {
      now += 5;
      load.took(1);
      expect([load.isActive, load.isBusy]).toEqual([true, false]);
    }
  });
});
