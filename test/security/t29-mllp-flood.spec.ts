import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { orderMessage } from '../../demo/order-message.ts';
import { type FlowWorld, makeWorld } from '../flow/flow-world.ts';
import { tinyStudy } from '../flow/studies.ts';
import { fieldOf, sendOrder } from '../peers/ris.ts';
import { forgetPeak, memoryOf } from './server-memory.ts';

const VT = 0x0b;
const END = Buffer.from([0x1c, 0x0d]);
/** Where attacks come from: another address of this machine, as another machine would have. */
const ATTACKER = '127.0.0.66';
const MEMORY_MB_MAX = 100;
const BURST = 10_000;

let world: FlowWorld;
const sockets: net.Socket[] = [];
let controlIds = 0;
beforeAll(async () => {
  world = await makeWorld();
  for (let n = 0; n < 5; n += 1) await expectAnswered();
});
afterAll(() => world?.close());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await sleep(100);
});

const message = () => {
  controlIds += 1;
  return orderMessage(tinyStudy().exam, `T29N${controlIds}`, new Date());
};
const framed = (body: Buffer | string) => Buffer.concat([Buffer.from([VT]), Buffer.from(body), END]);

/** A valid sender on a connection of its own: answered with AA in less than a second. */
async function expectAnswered(): Promise<void> {
  const began = performance.now();
  const answer = await sendOrder(world.server.mllpPort, message());
  expect(fieldOf(answer, 'MSA', 1)).toBe('AA');
  expect(performance.now() - began).toBeLessThan(1_000);
}

/** Connects; null when it is not let in. */
function attack(): Promise<net.Socket | null> {
  return new Promise((resolve) => {
    const socket = net.connect({ port: world.server.mllpPort, host: '127.0.0.1', localAddress: ATTACKER });
    sockets.push(socket);
    socket.on('error', () => resolve(null));
    socket.on('connect', () => resolve(socket));
  });
}

/** Its end, however it ends. */
const closing = (socket: net.Socket) =>
  new Promise<void>((resolve) => void socket.once('close', () => resolve()));

async function expectLittleMemory(work: () => Promise<void>): Promise<void> {
  forgetPeak(world.server.pid);
  const before = memoryOf(world.server.pid).now;
  await work();
  expect((memoryOf(world.server.pid).peak - before) / 1_000_000).toBeLessThan(MEMORY_MB_MAX);
}

describe('T29 a flood at the door of HL7', () => {
  it('T29 1,000 connections of one address: most are closed at once, and another sender is answered', async () => {
    await expectLittleMemory(async () => {
      const opened = (await Promise.all(Array.from({ length: 1_000 }, attack))).filter(
        (socket) => socket !== null,
      );
      await sleep(300);
      const alive = opened.filter((socket) => !socket.destroyed && !socket.readableEnded);
      expect(alive.length).toBeLessThanOrEqual(64);
      for (const socket of alive) socket.write(Buffer.from([VT]));
      for (let n = 0; n < 5; n += 1) await expectAnswered();
    });
    expect(world.server.output()).toContain('refused-connection');
  });

  it('T29 one frame that never ends, up to a gigabyte: the connection is cut, and memory stays', async () => {
    await expectLittleMemory(async () => {
      const socket = await attack();
      const closed = socket && closing(socket);
      const piece = Buffer.alloc(1_048_576, 0x41);
      socket?.write(Buffer.from([VT]));
      let sent = 0;
      const pour = () => {
        while (socket && !socket.destroyed && sent < 1_024 && socket.write(piece)) sent += 1;
      };
      socket?.on('drain', pour);
      pour();
      await expectAnswered();
      await closed;
      expect(sent).toBeLessThan(200);
    });
  }, 30_000);

  it('T29 senders of a byte a second hold nobody up', async () => {
    const slow = await Promise.all(Array.from({ length: 20 }, attack));
    const body = framed(message());
    for (let second = 0; second < 3; second += 1) {
      for (const socket of slow) socket?.write(body.subarray(second, second + 1));
      await expectAnswered();
      await sleep(1_000);
    }
    expect(world.server.output()).not.toMatch(/RangeError|unhandled/i);
  });

  it('T29 0x0B, 0x1C and NUL inside a frame, frames in frames: refused by an answer or by closing, and the next is answered', async () => {
    const good = message();
    for (const bad of [
      good.replace('PID|', `PID|${String.fromCharCode(VT)}`),
      `${good}${String.fromCharCode(VT)}${good}`,
      good.replace('PID|', 'PID|\u001c'),
      good.replace('PID|', 'PID|\u0000'),
      `${'\u000b'.repeat(1_000)}${good}`,
      'MSH|^~\\&|\\Z0A\\\\.sp99999\\\\X00\\',
      'MSH',
      '',
    ]) {
      const answer = await sendOrder(world.server.mllpPort, bad, 2_000).catch(() => null);
      if (answer && fieldOf(answer, 'MSA', 1) === 'AA')
        // What was taken was a whole message, and the right one.
        expect(bad).toContain(fieldOf(answer, 'MSA', 2));
      await expectAnswered();
    }
  }, 30_000);

  it('T29 10,000 messages in one burst: answered in order, in little memory, while another sender is answered', async () => {
    await expectLittleMemory(async () => {
      const { acknowledged, ended } = burst(BURST);
      await sleep(1_000);
      await expectAnswered();
      sockets.at(-1)?.destroy();
      await ended;
      expect(acknowledged.length).toBeGreaterThan(0);
      expect(acknowledged).toEqual(acknowledged.map((_, at) => `BURST${at}`));
    });
  }, 60_000);

  it('T29 and when the process is killed in the middle of a burst, each message that was acknowledged is there', async () => {
    const { acknowledged, ended } = burst(BURST, 'KILL');
    while (acknowledged.length < 300) await sleep(10);
    await world.server.kill('SIGKILL');
    await ended;
    const { rows } = await world.sql.query(
      'SELECT control_id FROM hl7_inbound WHERE control_id = ANY($1::text[])',
      [acknowledged],
    );
    expect(acknowledged.length).toBeGreaterThanOrEqual(300);
    expect(rows).toHaveLength(acknowledged.length);
    await world.server.start();
    await expectAnswered();
  }, 60_000);
});

/** One connection that writes without waiting for answers; gives the control ids that were acknowledged, as they come. */
function burst(count: number, prefix = 'BURST'): { acknowledged: string[]; ended: Promise<unknown> } {
  const acknowledged: string[] = [];
  const socket = net.connect({ port: world.server.mllpPort, host: '127.0.0.1', localAddress: ATTACKER });
  sockets.push(socket);
  const study = tinyStudy();
  let at = 0;
  const pour = () => {
    while (at < count && !socket.destroyed) {
      const isTaken = socket.write(framed(orderMessage(study.exam, `${prefix}${at}`, new Date())));
      at += 1;
      if (!isTaken) return;
    }
  };
  let rest = '';
  socket
    .on('connect', pour)
    .on('drain', pour)
    .on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    const answers = (rest + chunk.toString('latin1')).split('\u001c\r');
    rest = answers.pop() ?? '';
    for (const answer of answers) {
      const [, code, controlId = ''] = /MSA\|(A[AER])\|([^|\r]*)/.exec(answer) ?? [];
      if (code === 'AA') acknowledged.push(controlId);
    }
  });
  return { acknowledged, ended: closing(socket) };
}
