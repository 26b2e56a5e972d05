import { beforeEach, expect, test, vi } from 'vitest';
import type { FlowRunner, StepEnded } from './flow/flow-runner.ts';
import { LogRisTrouble, REFUSED_FORGOTTEN_MS } from './log-ris-trouble.ts';

type Heard = Parameters<LogRisTrouble['hear']>[0];

let lines: [object, string][];
let trouble: LogRisTrouble;
beforeEach(() => {
  lines = [];
  trouble = new LogRisTrouble(
    {} as FlowRunner,
    { warn: (fields: object, text: string) => void lines.push([fields, text]) } as never,
  );
});

const send = (messageId: string, end: StepEnded['end'], why: string | null = null): Heard => ({
  step: 'ris-send',
  end,
  why,
  handoff: { messageId },
});

test('a RIS that is away is said once, however many messages try, and once when it answers again', () => {
  for (let n = 0; n < 50; n += 1)
    trouble.hear(send(`m${n}`, 'later', n % 2 ? 'hl7.connection' : 'hl7.ack-timeout'), n);
  trouble.hear(send('m1', 'done'), 90_000);
  trouble.hear(send('m2', 'done'), 90_001);
  expect(lines).toEqual([
    [{ destination: 'RIS_URL', code: 'hl7.ack-timeout' }, 'the RIS does not take messages; they wait'],
    [{ destination: 'RIS_URL', after_s: 90 }, 'the RIS answers again'],
  ]);
});

test('a RIS that comes back with an error ends the one trouble and begins the other', () => {
  trouble.hear(send('a', 'later', 'hl7.connection'), 0);
  trouble.hear(send('a', 'later', 'the RIS answered AE 207'), 1_000);
  trouble.hear(send('b', 'done'), 2_000);
  trouble.hear(send('a', 'later', 'the RIS answered AE 207'), 3_000);
  trouble.hear(send('a', 'given-up', 'the RIS answered AE 207 25 times'), 4_000);
  expect(lines.map(([, text]) => text)).toEqual([
    'the RIS does not take messages; they wait',
    'the RIS answers again',
    'the RIS answers with an error; the message is sent again',
    'no message is answered with an error any more',
  ]);
});

test('a refused message that another worker took on is forgotten after a while', () => {
  trouble.hear(send('a', 'later', 'the RIS answered AE'), 0);
  trouble.hear(send('b', 'done'), REFUSED_FORGOTTEN_MS);
  expect(lines).toHaveLength(1);
  trouble.hear(send('b', 'done'), REFUSED_FORGOTTEN_MS + 1);
  expect(lines).toHaveLength(2);
});

test('each destination has trouble of its own, and what a person holds is none', () => {
  const to = (destination: string, end: StepEnded['end'], why: string | null = null): Heard => ({
    ...send('a', end, why),
    handoff: { messageId: 'a', destination },
  });
  trouble.hear(to('one', 'later', 'hl7.connection'), 0);
  trouble.hear(to('two', 'later', 'the destination is held'), 0);
  trouble.hear(to('two', 'later', 'the RIS answered AR: the lane is held'), 0);
  trouble.hear(to('two', 'done'), 1_000);
  expect(lines).toEqual([
    [{ destination: 'one', code: 'hl7.connection' }, 'the RIS does not take messages; they wait'],
  ]);
  trouble.hear(to('one', 'done'), 5_000);
  expect(lines[1]).toEqual([{ destination: 'one', after_s: 5 }, 'the RIS answers again']);
});

test('other steps, and what our own errors end, say nothing about the RIS', () => {
  trouble.hear({ ...send('a', 'later', 'still growing'), step: 'study' }, 0);
  trouble.hear(send('a', 'skipped', 'the message is gone'), 0);
  trouble.hear(send('a', 'given-up', 'TypeError'), 0);
  expect(lines).toEqual([]);
});

test('a clock that is set back or forward meanwhile changes neither how long a trouble lasted nor whether it is over', () => {
  let hear: (ended: StepEnded) => void = () => undefined;
  const flow = {
    watch: (watcher: typeof hear) => {
      hear = watcher;
    },
  };
  const told = { warn: (fields: object, text: string) => void lines.push([fields, text]) };
  new LogRisTrouble(flow as unknown as FlowRunner, told as never).onModuleInit();
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    hear(send('a', 'later', 'the RIS answered AE') as StepEnded);
    vi.setSystemTime(Date.now() + 2 * REFUSED_FORGOTTEN_MS);
    hear(send('b', 'done') as StepEnded);
    expect(lines).toHaveLength(1);
    vi.setSystemTime(Date.now() - 10 * REFUSED_FORGOTTEN_MS);
    hear(send('a', 'done') as StepEnded);
    expect(lines[1]?.[0]).toEqual({ destination: 'RIS_URL', after_s: 0 });
  } finally {
    vi.useRealTimers();
  }
});
