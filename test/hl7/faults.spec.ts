import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { RIS_FAULTS } from '../peers/faulty-ris.ts';
import { SENDER_FAULTS } from '../peers/faulty-sender.ts';
import { FaultWorld, faultsOf, type OutAccident, type Transport } from './fault-matrix.ts';

/** The whole table, with more messages, is made by `npm run bench -- hl7-faults`. */
const MESSAGES = 40;
const LANES = 4;
const OVER_TLS: readonly OutAccident[] = ['torn-ack', 'no-ack', 'close-after-ack'];

describe('Faults on the way of a message', () => {
  let world: FaultWorld;
  beforeAll(async () => {
    world = await FaultWorld.make((await freshDatabaseUrl()).replace('@/', '@localhost/'));
  }, 60_000);
  afterAll(() => world?.close());

  const cannotHurt = (side: 'in' | 'out', transport: Transport, door: Transport) => async (fault: string) => {
    const row =
      side === 'in'
        ? await world.in(fault as never, transport, MESSAGES, LANES)
        : await world.out(fault as never, transport, MESSAGES, door);
    expect(faultsOf(row)).toEqual([]);
    expect(row.repeats >= 0).toBe(true);
    if (REPEATED.has(fault)) expect(row.repeats).toBeGreaterThan(0);
  };

  it.each([...SENDER_FAULTS, 'kill-9'])(
    'of a sender lose, repeat and reorder nothing: %s',
    cannotHurt('in', 'plain', 'plain'),
    60_000,
  );
  it.each([...RIS_FAULTS, 'large', 'refused', 'kill-9'])(
    'of a receiver lose, repeat and reorder nothing: %s',
    cannotHurt('out', 'plain', 'plain'),
    60_000,
  );
  it.each([...OVER_TLS, 'tls-refused'])(
    'of a receiver over TLS lose, repeat and reorder nothing: %s',
    cannotHurt('out', 'tls', 'plain'),
    60_000,
  );
  it('of a sender over TLS lose, repeat and reorder nothing, and who has no certificate gets no answer', async () => {
    await world.useDoor('tls');
    for (const fault of ['cut-before-ack', 'tls-refused'] as const)
      await cannotHurt('in', 'tls', 'tls')(fault);
  }, 60_000);
});

/** These faults did happen only if messages were sent again. */
const REPEATED: ReadonlySet<string> = new Set([
  'sent-twice',
  'cut-in-the-frame',
  'cut-before-ack',
  'impatient',
  'late-ack',
  'no-ack',
  'error',
  'foreign-ack',
  'torn-ack',
  'close-before-ack',
  'close-unread',
]);
