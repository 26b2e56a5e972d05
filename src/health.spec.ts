import { expect, test } from 'vitest';
import { RIS_UNSENT_S_MAX, risState, risStates } from './health.controller.ts';

const ack = new Date('2026-02-03T04:05:06Z');

test('a RIS is not asked for: nothing configured and nothing waiting is well', () => {
  expect(risState({ waiting: 0, oldestSeconds: 0, lastAckAt: null }, false)).toEqual({
    ok: true,
    detail: 'no RIS configured',
  });
});

test('messages that wait for a RIS nobody configured are shown, and in the end not well', () => {
  expect(risState({ waiting: 2, oldestSeconds: 12.4, lastAckAt: ack }, false)).toEqual({
    ok: true,
    detail: 'no RIS configured; 2 messages waiting, oldest 12 s; last ACK 2026-02-03T04:05:06.000Z',
  });
  expect(risState({ waiting: 2, oldestSeconds: RIS_UNSENT_S_MAX + 1, lastAckAt: ack }, false).ok).toBe(false);
});

test('the RIS is well until the oldest message has waited longer than the limit', () => {
  expect(risState({ waiting: 0, oldestSeconds: 0, lastAckAt: null }, true)).toEqual({
    ok: true,
    detail: 'no message waits; no ACK yet',
  });
  expect(risState({ waiting: 3, oldestSeconds: RIS_UNSENT_S_MAX, lastAckAt: ack }, true).ok).toBe(true);
  expect(risState({ waiting: 3, oldestSeconds: RIS_UNSENT_S_MAX + 1, lastAckAt: ack }, true)).toEqual({
    ok: false,
    detail: `3 messages waiting, oldest ${RIS_UNSENT_S_MAX + 1} s; last ACK 2026-02-03T04:05:06.000Z`,
  });
});

test('of several receivers each is told by its name, and one that is not well is enough', () => {
  const old = { name: 'old', waiting: 3, oldestSeconds: RIS_UNSENT_S_MAX + 1, lastAckAt: ack };
  const well = { name: 'RIS_URL', waiting: 0, oldestSeconds: 0, lastAckAt: ack };
  expect(risStates([well, old])).toEqual({
    ok: false,
    detail: `RIS_URL: no message waits; last ACK 2026-02-03T04:05:06.000Z | old: 3 messages waiting, oldest ${RIS_UNSENT_S_MAX + 1} s; last ACK 2026-02-03T04:05:06.000Z`,
  });
  expect(risStates([well]).ok).toBe(true);
});
