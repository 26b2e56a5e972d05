import { pino } from 'pino';
import { expect, it } from 'vitest';
import { OutboxTrouble, WELL_AFTER_MS } from './outbox-trouble.ts';

it('says once that the outbox cannot be read, and that it can when that has lasted', () => {
  const said: { msg: string; why?: string; queue?: string }[] = [];
  let now = 0;
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const trouble = new OutboxTrouble(log, () => now);
  trouble.read();
  for (; now < 60_000; now += 1_000) {
    trouble.failed(new TypeError('with a value'), { queue: 'report' });
    trouble.read();
  }
  expect(said).toHaveLength(1);
  expect(said[0]).toMatchObject({
    msg: 'the outbox could not be read; trying again',
    why: 'TypeError',
    queue: 'report',
  });
  now += WELL_AFTER_MS;
  trouble.read();
  trouble.read();
  expect(said.map(({ msg }) => msg).slice(1)).toEqual(['the outbox can be read again']);
});
