import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { until } from '../flow/flow-world.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

/**
 * The built server is killed between the answer to a message and its filing. Every message changes the same order of its patient, so that the
 * versions of that order are the messages that were filed, in the order in which they were: none lost, none twice, none overtaken.
 */
describe('A server that is killed between ACK and filing', () => {
  let server: PrelimServer;
  let sql: pg.Pool;

  beforeAll(async () => {
    const url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
    sql = new pg.Pool({ connectionString: url, max: 3 });
    sql.on('error', () => undefined);
    server = await PrelimServer.make({ DATABASE_URL: url });
    await server.start();
    await sql.query(FREEZER);
  }, 60_000);
  afterAll(async () => {
    await sql?.query('DELETE FROM frozen_at').catch(() => undefined);
    await server?.close();
    await sql?.end();
  });

  let run = 0;
  beforeEach(() => {
    run += 1;
  });
  const patientOf = (lane: number) => `K${run}x${lane}`;
  const message = (lane: number, n: number) =>
    [
      `MSH|^~\\&|OE|HOSP|PRELIM|RAD|20260115101522||ORM^O01|${patientOf(lane)}-${n}|P|2.5.1`,
      `PID|1||${patientOf(lane)}^^^HOSP^MR||DOE^JANE`,
      `ORC|${n === 1 ? 'NW' : 'XO'}|P${patientOf(lane)}^OE`,
      'OBR|1|||X^Y^L',
      `NTE|1||change ${n}`,
      '',
    ].join('\r');

  /** What was filed for a patient: the note of each version of the order, oldest first. */
  const filed = async (lane: number): Promise<string[]> => {
    const { rows } = await sql.query(
      `SELECT content::json->'note'->0->>'text' AS note FROM (
          SELECT version, content FROM resource WHERE type = 'ServiceRequest' AND position($1 IN content) > 0
          UNION ALL SELECT version, content FROM resource_version WHERE type = 'ServiceRequest' AND position($1 IN content) > 0) v
        ORDER BY version`,
      [`"P${patientOf(lane)}"`],
    );
    return rows.map((row) => String(row.note));
  };
  const notes = (count: number) => Array.from({ length: count }, (_, at) => `change ${at + 1}`);
  const allFiled = () =>
    until(async () => {
      const { rows } = await sql.query('SELECT 1 FROM hl7_inbound WHERE filing_outcome IS NULL LIMIT 1');
      return rows.length === 0;
    });
  const expectOnceEach = async () => {
    const { rows } = await sql.query(
      `SELECT control_id, filing_outcome FROM hl7_inbound WHERE control_id LIKE $1`,
      [`K${run}x%`],
    );
    expect(new Set(rows.map((row) => row.control_id)).size).toBe(rows.length);
    expect(rows.every((row) => row.filing_outcome === 'filed')).toBe(true);
  };

  it.each(['before the marks', 'at the commit'])(
    '%s of a batch: each message is filed once, in order',
    async (moment) => {
      await freeze(sql, moment);
      const sender = await Sender.open(server.mllpPort);
      for (let n = 1; n <= 20; n += 1) expect(await sender.send(message(1, n))).toBe('AA');
      sender.close();
      await until(async () => (await standing(sql)) > 0);
      await server.kill('SIGKILL');
      await thaw(sql);
      await server.start();
      await allFiled();
      expect(await filed(1)).toEqual(notes(20));
      await expectOnceEach();
    },
    60_000,
  );

  it('before filing was called: the start finds what waits', async () => {
    await freeze(sql, 'at the call');
    const sender = await Sender.open(server.mllpPort);
    for (let n = 1; n <= 5; n += 1) expect(await sender.send(message(1, n))).toBe('AA');
    sender.close();
    await until(async () => (await standing(sql)) > 0);
    await server.kill('SIGKILL');
    // What stands still belongs to the dead server; were it let go, the call would be written after all.
    const { rows } = await sql.query(`SELECT pg_terminate_backend(pid) FROM (${STANDING}) s`);
    expect(rows.length).toBeGreaterThan(0);
    await thaw(sql);
    expect(await filed(1)).toEqual([]);
    await server.start();
    await allFiled();
    expect(await filed(1)).toEqual(notes(5));
  }, 60_000);

  it('again and again in mid-stream, over several connections: none lost, none twice, none out of order', async () => {
    const COUNT = 60;
    const lanes = [1, 2, 3, 4];
    let ended = 0;
    const streams = lanes.map(async (lane) => {
      let sender: Sender | null = null;
      for (let n = 1; n <= COUNT; ) {
        sender ??= await Sender.open(server.mllpPort).catch(() => null);
        const answer = await sender?.send(message(lane, n)).catch(() => null);
        if (answer === 'AA') n += 1;
        else {
          sender?.close();
          sender = null;
          await sleep(20);
        }
      }
      sender?.close();
      ended += 1;
    });
    for (let kills = 0; kills < 3 && ended < lanes.length; kills += 1) {
      const { rows } = await sql.query(
        'SELECT count(*)::int AS n FROM hl7_inbound WHERE control_id LIKE $1',
        [`K${run}x%`],
      );
      const goal = Math.min(Number(rows[0].n) + 40, COUNT * lanes.length);
      await until(async () => {
        const { rows: now } = await sql.query(
          'SELECT count(*)::int AS n FROM hl7_inbound WHERE control_id LIKE $1',
          [`K${run}x%`],
        );
        return Number(now[0].n) >= goal;
      });
      await server.kill('SIGKILL');
      await server.start();
    }
    await Promise.all(streams);
    await allFiled();
    for (const lane of lanes) expect(await filed(lane)).toEqual(notes(COUNT));
    await expectOnceEach();
  }, 120_000);
});

/** One connection that sends and waits, as an interface engine does. */
class Sender {
  private waiting: { resolve: (code: string) => void; reject: (error: Error) => void } | null = null;
  private received = '';

  private constructor(private readonly socket: net.Socket) {
    socket.on('data', (chunk) => this.hear(chunk.toString('latin1')));
    const end = () => this.waiting?.reject(new Error('closed'));
    socket.on('error', end);
    socket.on('close', end);
  }

  static open(port: number): Promise<Sender> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(new Sender(socket)));
      socket.once('error', reject);
    });
  }

  /** MSA-1. */
  send(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      if (this.socket.destroyed) reject(new Error('closed'));
      else this.socket.write(`\x0b${text}\x1c\r`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private hear(text: string): void {
    this.received += text;
    const end = this.received.indexOf('\x1c\r');
    if (end < 0) return;
    const code = /\rMSA\|([A-Z]{2})/.exec(this.received.slice(0, end))?.[1] ?? '';
    this.received = this.received.slice(end + 2);
    this.waiting?.resolve(code);
  }
}

/** Any number that nothing else in the database locks. */
const KEY = 424_243;

/** Triggers of the test's own database hold a transaction of the server still; the server's code knows nothing of it. */
const FREEZER = `
  CREATE TABLE frozen_at (moment text);
  CREATE FUNCTION freeze_filing() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF EXISTS (SELECT 1 FROM frozen_at WHERE moment = TG_ARGV[0]) THEN
      PERFORM pg_advisory_xact_lock_shared(${KEY});
    END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER freeze_marks BEFORE UPDATE ON hl7_inbound FOR EACH ROW
    WHEN (NEW.filing_outcome IS DISTINCT FROM OLD.filing_outcome) EXECUTE FUNCTION freeze_filing('before the marks');
  CREATE CONSTRAINT TRIGGER freeze_commit AFTER UPDATE ON hl7_inbound DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.filing_outcome IS DISTINCT FROM OLD.filing_outcome) EXECUTE FUNCTION freeze_filing('at the commit');
  CREATE TRIGGER freeze_call BEFORE INSERT ON outbox FOR EACH ROW
    WHEN (NEW.queue = 'filing') EXECUTE FUNCTION freeze_filing('at the call')`;

let holder: pg.PoolClient | null = null;

async function freeze(sql: pg.Pool, moment: string): Promise<void> {
  holder ??= await sql.connect();
  await holder.query(`SELECT pg_advisory_lock(${KEY})`);
  await sql.query('INSERT INTO frozen_at VALUES ($1)', [moment]);
}

async function thaw(sql: pg.Pool): Promise<void> {
  await sql.query('DELETE FROM frozen_at');
  holder?.release(true);
  holder = null;
  await until(async () => (await standing(sql)) === 0);
}

const STANDING = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = ${KEY} AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

const standing = async (sql: pg.Pool): Promise<number> => (await sql.query(STANDING)).rows.length;
