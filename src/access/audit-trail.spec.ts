import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from '../database/database.ts';
import { systemClock } from '../kernel/clock.ts';
import { parseEvents } from './audit/audit-content.ts';
import { AuditTrail, GATHER_MS_MAX } from './audit-trail.ts';

let database: Database;
let close: () => Promise<void>;
let trail: AuditTrail;
beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  trail = await AuditTrail.start(database, systemClock, pino({ level: 'silent' }));
});
afterAll(async () => {
  await trail.release();
  await close();
});

const look = (entity: string) =>
  trail.record({ kind: 'rest', interaction: 'read', action: 'R', outcome: 0, entity });

/** Not in this turn of the event loop, nor the next. */
const later = async (work: () => Promise<void>): Promise<void> => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  await work();
};

/** The entities of each row that has one beginning so, row by row. */
async function groups(beginning: string): Promise<string[][]> {
  const rows = await database.run<{ content: string }>({
    text: 'SELECT content FROM audit_event ORDER BY segment, seq',
  });
  return rows
    .map(({ content }) => parseEvents(content).map(({ entity }) => entity ?? ''))
    .filter((entities) => entities.some((entity) => entity.startsWith(beginning)));
}

describe('groups of the audit', () => {
  it('what comes together is one row, and is stored when it is answered', async () => {
    trail.awaited = 4;
    await Promise.all([look('A/1'), look('A/2'), look('A/3'), look('A/4')]);
    expect(await groups('A/')).toEqual([['A/1', 'A/2', 'A/3', 'A/4']]);
  });

  it('one that a hundred slow ones keep company is stored without them', async () => {
    trail.awaited = 100;
    await look('B/1');
    expect(await groups('B/')).toEqual([['B/1']]);
  });

  it('of reads alone is one commit for all, of which none goes before the others', async () => {
    trail.awaited = trail.awaitedReads = 4;
    await Promise.all([look('D/1'), look('D/2'), look('D/3')].concat(later(() => look('D/4'))));
    expect(await groups('D/')).toEqual([['D/1', 'D/2', 'D/3', 'D/4']]);
    // With anything else among them half is enough.
    trail.awaited = 5;
    await Promise.all([look('E/1'), look('E/2'), look('E/3')].concat(later(() => look('E/4'))));
    expect(await groups('E/')).toEqual([['E/1', 'E/2', 'E/3'], ['E/4']]);
    trail.awaitedReads = 0;
  });

  it('waits while others keep coming, but not for ever', async () => {
    trail.awaited = 1_000_000;
    const all: Promise<void>[] = [];
    let first = false;
    const began = performance.now();
    while (!first) {
      all.push(look('C/x'));
      if (all.length === 1) void all[0]?.then(() => (first = true));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    expect(performance.now() - began).toBeGreaterThanOrEqual(GATHER_MS_MAX);
    await Promise.all(all);
    const sizes = (await groups('C/')).map(({ length }) => length);
    expect(sizes[0]).toBeGreaterThan(1);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(all.length);
  });
});
