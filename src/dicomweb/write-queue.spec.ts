import { expect, it } from 'vitest';
import { WAITING_BYTES_MAX, WriteQueue } from './write-queue.ts';

it('goes on while there is room, waits when there is none, and ends when all is written', async () => {
  const queue = new WriteQueue();
  const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  const written: number[] = [];
  const write = (at: number) => async () => {
    await gates[at]!.promise;
    written.push(at);
  };
  await queue.add(WAITING_BYTES_MAX - 1, write(0));
  await queue.add(1, write(1));
  let added = false;
  const third = queue.add(1, write(2)).then(() => {
    added = true;
  });
  await new Promise(setImmediate);
  expect(added).toBe(false);
  for (const gate of gates) gate.resolve();
  await third;
  await queue.end();
  expect(written).toEqual([0, 1, 2]);
});

it('gives the failure of a write to whoever waits for the end, and then has nothing running', async () => {
  const queue = new WriteQueue();
  const lost = new Error('no space');
  await queue.add(1, () => Promise.reject(lost));
  await expect(queue.end()).rejects.toBe(lost);
  await expect(queue.add(1, async () => undefined)).rejects.toBe(lost);
  await queue.settled();
});
