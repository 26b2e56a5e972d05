import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AuditKey, auditKeyIn, signHead } from '../../src/access/audit-heads.ts';
import { AuditTrail, COMMITS_AT_ONCE, GATHER_MS_MAX } from '../../src/access/audit-trail.ts';
import { pruneAudit } from '../../src/access/prune-audit.ts';
import { verifyAudit } from '../../src/access/verify-audit.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { type AuditApp, auditApp } from './audit-app.ts';

/** Later than any transaction that could still be on its way. */
const LATER = () => new Date(Date.now() + 3_600_000);

describe('the chain of the audit', () => {
  let app: AuditApp;
  let key: AuditKey;
  beforeAll(async () => {
    app = await auditApp();
    key = await auditKeyIn(app.folder);
  });
  afterAll(() => app.close());
  const read = () => app.send('GET', 'Patient/nobody');
  /** As a superuser who switches triggers off. */
  const tamper = (text: string) =>
    app.database.transaction(async (tx) => {
      await tx.run({ text: 'SET LOCAL session_replication_role = replica' });
      await tx.run({ text });
    });
  const verify = (heads: readonly string[] = []) => verifyAudit(app.database, key, LATER(), heads);
  beforeEach(async () => {
    for (let n = 0; n < 5; n++) await read();
  });

  it('holds as it was written, also with rolled-back transactions in between', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        app.database
          .transaction(async (tx) => {
            await app.store.write(tx, [
              { kind: 'create', resource: { resourceType: 'Basic', code: { text: `${n}` } } },
            ]);
            await tx.run({ text: 'SELECT pg_sleep(random() * 0.02)' });
            if (n % 3 === 0) throw new Error('no');
          })
          .catch(() => undefined),
      ),
    );
    await read();
    const verdict = await verify();
    expect(verdict).toMatchObject({ faults: [], doubts: [] });
    expect(verdict.rows).toBeGreaterThan(20);
    expect(verdict.heads).toBeGreaterThan(0);
  });

  it.each([
    ['content', `replace(content, '"ehr"', '"nobody"')`, 'its content is not what was written'],
    ['content', `content || 'x'`, 'its content is not what was written'],
    ['at', `at - interval '1 ms'`, 'its content is not what was written'],
    ['keys', `'{1}'`, 'the keys that it is found by were changed'],
  ])('names the first row whose %s was changed to %s', async (column, value, said) => {
    const seq = (await app.last()) - 2;
    const [kept] = await app.database.run<{ v: string }>({
      text: `SELECT ${column}::text AS v FROM audit_event WHERE seq = ${seq} AND segment = 1`,
    });
    await tamper(`UPDATE audit_event SET ${column} = ${value} WHERE seq = ${seq} AND segment = 1`);
    expect((await verify()).faults[0]).toBe(`row 1-${seq}: ${said}`);
    await tamper(`UPDATE audit_event SET ${column} = '${kept?.v}' WHERE seq = ${seq} AND segment = 1`);
    expect((await verify()).faults).toEqual([]);
  });

  it('names a row that was removed from the middle, and one put in its place', async () => {
    const seq = (await app.last()) - 2;
    await tamper(`CREATE TABLE kept AS SELECT * FROM audit_event WHERE seq = ${seq}`);
    await tamper(`DELETE FROM audit_event WHERE seq = ${seq}`);
    expect((await verify()).faults).toEqual([`row 1-${seq}: removed`]);
    await tamper(`INSERT INTO audit_event SELECT * FROM kept`);
    await tamper('DROP TABLE kept');
    expect((await verify()).faults).toEqual([]);
  });

  it('misses no newest rows when a signed head was kept elsewhere', async () => {
    const head = await signHead(app.database, key, systemClock);
    const seq = await app.last();
    await tamper(`CREATE TABLE kept AS SELECT * FROM audit_event WHERE seq > ${seq - 3}`);
    await tamper(`DELETE FROM audit_event WHERE seq > ${seq - 3}`);
    expect((await verify()).faults).toEqual([]);
    expect((await verify([head])).faults).toEqual([
      `rows 1-${seq - 2} to 1-${seq}: removed; a signed head names them`,
    ]);
    await tamper(`INSERT INTO audit_event SELECT * FROM kept`);
    expect((await verify([head])).faults).toEqual([]);
    expect((await verify([`${head.slice(0, -4)}AAAA`])).faults).toEqual([
      'the head that was handed in is not signed with the key of this server',
    ]);
  });

  it('refuses to be changed or removed by its owner too, while the triggers are there', async () => {
    for (const text of [
      `UPDATE audit_event SET content = 'x'`,
      'DELETE FROM audit_event',
      'TRUNCATE audit_event',
      'TRUNCATE audit_segment CASCADE',
      'DELETE FROM audit_segment',
    ])
      await expect(app.database.run({ text }), text).rejects.toThrow(/never changed/);
  });

  it('says how a chain ended whose process died, and tells holes at its end as doubts', async () => {
    const silent = pino({ level: 'silent' });
    const dead = await AuditTrail.start(app.database, systemClock, silent);
    await dead.record({ kind: 'rest', interaction: 'read', action: 'R', outcome: 0 });
    // Numbered, and never committed: the process dies with its transaction open.
    const open = Promise.withResolvers<void>();
    const lost = app.database
      .transaction(async (tx) => {
        await dead.recordIn(tx, [{ kind: 'rest', interaction: 'create', action: 'C', outcome: 0 }]);
        await tx.run({ text: 'SELECT 1' });
        await open.promise;
        throw new Error('killed');
      })
      .catch(() => undefined);
    await dead.record({ kind: 'rest', interaction: 'read', action: 'R', outcome: 0 });
    await dead.release();
    const next = await AuditTrail.start(app.database, systemClock, silent);
    open.resolve();
    await lost;
    const verdict = await verify();
    expect(verdict.faults).toEqual([]);
    expect(verdict.doubts).toEqual([
      `row ${dead.segment}-3: not there when the process had died; never committed, or removed before the next start`,
    ]);
    await tamper(`DELETE FROM audit_event WHERE segment = ${dead.segment} AND seq = 4`);
    expect((await verify()).faults[0]).toContain('removed from the end of a closed chain');
    await tamper(`DELETE FROM audit_event WHERE segment = ${dead.segment}`);
    expect((await verify()).faults[0]).toBe(
      `rows ${dead.segment}-1 to ${dead.segment}-4: removed from the end of a closed chain`,
    );
    await next.release();
  });

  it('is written by so many commits at once, and what comes meanwhile waits for one of them', async () => {
    const trail = await AuditTrail.start(app.database, systemClock, pino({ level: 'silent' }));
    const stored: Promise<void>[] = [];
    await app.database.transaction(async (tx) => {
      await tx.run({ text: 'LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE' });
      const waiting = async () =>
        (
          await tx.run({
            text: `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'audit_event'::regclass`,
          })
        ).length;
      for (let group = 1; group <= COMMITS_AT_ONCE + 1; group += 1) {
        stored.push(trail.record({ kind: 'rest', interaction: 'read', action: 'R', outcome: 0 }));
        await expect.poll(waiting, { interval: 5 }).toBe(Math.min(group, COMMITS_AT_ONCE));
      }
      // Longer than the first of a group waits for others.
      await new Promise((resolve) => setTimeout(resolve, 10 * GATHER_MS_MAX));
      expect(await waiting()).toBe(COMMITS_AT_ONCE);
    });
    await Promise.all(stored);
    await trail.release();
  });
});

describe('old rows', () => {
  it('are removed from the beginning of a chain, which can still be checked', async () => {
    const app = await auditApp();
    try {
      const key = await auditKeyIn(app.folder);
      for (let n = 0; n < 10; n++) await app.send('GET', 'Patient/nobody');
      const before = await app.last();
      const removed = await pruneAudit(
        app.database,
        key,
        { now: () => new Date(Date.now() + 31 * 86_400_000) },
        30,
      );
      expect(removed).toBe(before);
      await app.send('GET', 'Patient/nobody');
      const verdict = await verifyAudit(app.database, key, LATER());
      expect(verdict).toMatchObject({ faults: [], rows: 1 });
      await expect(app.database.run({ text: 'DELETE FROM audit_event' })).rejects.toThrow(/never changed/);
    } finally {
      await app.close();
    }
  });
});
