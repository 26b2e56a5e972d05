import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../database/audit-sink.ts';
import { ADDRESSES_MAX, AUDITED_EVERY_MS, DoorEvents } from './door-events.ts';

/** The events, and what of them was audited. */
function door() {
  const audited: (string | undefined)[] = [];
  const audit = {
    record: async ({ actor, detail }: AuditEntry) =>
      void audited.push(`${actor && 'address' in actor ? actor.address : ''} ${detail}`),
  };
  const events = new DoorEvents({ audit } as never, { warn: () => undefined } as never);
  const knock = (address: string, now: number) =>
    events.hear({ kind: 'tls-failed', peer: `${address} 50000` } as never, now);
  return { events, audited, knock };
}

describe('what happens at the MLLP door', () => {
  it('is audited once per address and time; what came meanwhile is told as a number', () => {
    const { events, audited, knock } = door();
    for (const now of [0, 1, AUDITED_EVERY_MS - 1]) knock('10.0.0.1', now);
    expect(audited).toEqual(['10.0.0.1 tls-failed']);
    knock('10.0.0.2', 2);
    knock('10.0.0.1', AUDITED_EVERY_MS);
    expect(audited.slice(1)).toEqual([
      '10.0.0.2 tls-failed',
      '10.0.0.1 tls-failed, and 2 more since the last entry',
    ]);
    expect(events.events.get('tls-failed')).toBe(5);
  });

  it('is remembered of so many addresses; one more, and the first is audited again', () => {
    const { audited, knock } = door();
    for (let n = 1; n <= ADDRESSES_MAX; n += 1) knock(`a${n}`, n);
    knock('a1', ADDRESSES_MAX + 1);
    expect(audited).toHaveLength(ADDRESSES_MAX);
    knock('one-more', ADDRESSES_MAX + 2);
    knock('a2', ADDRESSES_MAX + 3);
    expect(audited).toHaveLength(ADDRESSES_MAX + 1);
    knock('a1', ADDRESSES_MAX + 4);
    expect(audited).toHaveLength(ADDRESSES_MAX + 2);
  });
});
