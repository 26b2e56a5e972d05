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
