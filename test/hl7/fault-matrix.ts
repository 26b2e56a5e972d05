import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { FaultyRis, type RisFault } from '../peers/faulty-ris.ts';
import { type SenderFault, sendLanes } from '../peers/faulty-sender.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

export type Transport = 'plain' | 'tls';
/** What happens to the whole connection or server while messages flow. */
export type OutAccident = RisFault | 'large' | 'refused' | 'tls-refused' | 'kill-9';
export type InAccident = SenderFault | 'tls-refused' | 'kill-9';

export interface FaultRow {
  readonly side: 'in' | 'out';
  readonly fault: string;
  readonly transport: Transport;
  readonly messages: number;
  /** More frames on the wire than messages: repeats that the fault made necessary. */
  readonly repeats: number;
  readonly lost: number;
  readonly twice: number;
  readonly disordered: number;
  /** Out: messages of one lane on the way at once. In: answers that were not AA or of another message. */
  readonly other: number;
  readonly seconds: number;
}

export const ACK_TIMEOUT_MS = 400;
const EVERY = 10;
const OUT_LANES = 8;
const AWAY_MS = 800;
const END_MS_MAX = 90_000;

/** A server with its database, and a receiver of each transport, all on 127.0.0.1. */
export class FaultWorld {
  private run = 0;

  private constructor(
    readonly server: PrelimServer,
    private readonly sql: pg.Client,
    private readonly receivers: Readonly<Record<Transport, FaultyRis>>,
    private readonly doors: Readonly<Record<Transport, Readonly<Record<string, string>>>>,
  ) {}

  static async make(databaseUrl: string): Promise<FaultWorld> {
    const quiet = { fault: 'none', every: EVERY, lateMs: ACK_TIMEOUT_MS * 2 } as const;
    const receivers = { plain: new FaultyRis(quiet), tls: new FaultyRis({ ...quiet, tls: TLS_SERVER }) };
    await Promise.all([receivers.plain.listen(), receivers.tls.listen()]);
    const server = await PrelimServer.make({ DATABASE_URL: databaseUrl, LOG_LEVEL: 'error' });
    const place = (name: string, text: string) => {
      const path = join(server.folder, name);
      writeFileSync(path, text);
      return path;
    };
    const files = {
      HL7_TLS_CERT: place('door.pem', TLS_SERVER.cert),
      HL7_TLS_KEY: place('door-key.pem', TLS_SERVER.key),
      HL7_TLS_CA: place('sender.pem', TLS_CLIENT.cert),
    };
    const to = (name: Transport, scheme: string, more: object = {}) => ({
      name,
      url: `${scheme}://127.0.0.1:${receivers[name].port}`,
      ackTimeoutMs: ACK_TIMEOUT_MS,
      profile: { connectionsMax: OUT_LANES },
      ...more,
    });
    const tls = { tls: { ca: files.HL7_TLS_CERT } };
    const enhanced = { profile: { connectionsMax: OUT_LANES, ackMode: 'enhanced' } };
    const destinations = [
      to('plain', 'mllp'),
      to('tls', 'mllps', tls),
      to('plain', 'mllp', { name: 'plain-enhanced', ...enhanced }),
      to('tls', 'mllps', { name: 'tls-enhanced', ...tls, ...enhanced }),
    ];
    const RIS_DESTINATIONS = place('destinations.json', JSON.stringify({ destinations }));
    const sql = new pg.Client({ connectionString: databaseUrl });
    await sql.connect();
    const world = new FaultWorld(server, sql, receivers, {
      plain: { RIS_DESTINATIONS },
      tls: { RIS_DESTINATIONS, ...files },
    });
    await server.start(world.doors.plain);
    return world;
  }

  /** The door speaks one of the two: the server starts again. */
  async useDoor(transport: Transport): Promise<void> {
    await this.server.stop();
    await this.server.start(this.doors[transport]);
  }

  async close(): Promise<void> {
    await this.sql.end();
    await this.server.close();
    await Promise.all([this.receivers.plain.close(), this.receivers.tls.close()]);
  }

  /** Results to a receiver at fault. `door`: what the server listens with, for the start after a kill. */
  async out(fault: OutAccident, transport: Transport, messages: number, door: Transport): Promise<FaultRow> {
    const name = this.name('O');
    const receiver = this.receivers[transport];
    const isAccident = fault === 'refused' || fault === 'tls-refused' || fault === 'kill-9';
    const destination = fault === 'enhanced' ? `${transport}-enhanced` : transport;
    // With an accident of its own each answer takes a while, so that it happens in mid-stream.
    receiver.begin({
      fault: isAccident ? 'slow-ack' : fault === 'large' ? 'none' : fault,
      every: isAccident || fault === 'enhanced' ? 1 : EVERY,
      lateMs: ACK_TIMEOUT_MS * 2,
    });
    const started = performance.now();
    await this.queue(name, destination, messages, fault === 'large');
    if (isAccident) {
      await until(() => receiver.tally.received >= messages / 4, 'the first quarter');
      if (fault === 'kill-9') await this.killAndStart(door);
      else await this.away(receiver, fault);
    }
    await until(async () => (await this.waiting(destination)) === 0, `${fault}: all sent`);
    const { tally } = receiver;
    if (fault === 'enhanced')
      await until(
        () => receiver.tally.commits >= messages - receiver.tally.repeats,
        'each application acknowledgement has its CA',
      );
    const { rows } = await this.sql.query<{ state: string; n: number }>(STATES, [name]);
    const kept = Object.fromEntries(rows.map(({ state, n }) => [state, n]));
    const settled = (kept['acknowledged'] ?? 0) + (kept['rejected'] ?? 0);
    return {
      side: 'out',
      fault,
      transport,
      messages,
      repeats: tally.received - messages,
      lost: messages - tally.applied.size - tally.rejected.size + (messages - settled),
      twice: tally.changed + (await this.sentAfterItsAck(name)),
      disordered: tally.disordered,
      other: tally.inFlightMax,
      seconds: (performance.now() - started) / 1_000,
    };
  }

  /** Orders from a sender at fault. */
  async in(fault: InAccident, transport: Transport, messages: number, lanes: number): Promise<FaultRow> {
    const name = this.name('I');
    const secure = transport === 'tls' ? { tls: SENDER_TLS } : {};
    const options = {
      port: this.server.mllpPort,
      every: EVERY,
      fault: isSender(fault) ? fault : 'none',
      ...secure,
    } as const;
    const all = Array.from({ length: lanes }, (_unused, lane) =>
      Array.from({ length: messages / lanes }, (_one, n) => order(name, lane, n + 1, fault)),
    );
    const started = performance.now();
    const refused = fault === 'tls-refused' ? await this.refusedByDoor(all[0]?.[0]?.bytes) : 0;
    const sent = sendLanes(options, all);
    if (fault === 'kill-9') {
      await until(async () => (await this.stored(name)).length >= messages / 4, 'the first quarter');
      await this.killAndStart(transport);
    }
    const tally = await sent;
    await until(async () => (await this.unfiled(name)) === 0, `${fault}: all filed`);
    const stored = fault === 'reused-id' ? await this.storedOrders(name) : await this.stored(name);
    const [effects] = (await this.sql.query<{ orders: number; changed: number }>(ORDERS, [`%"${name}-%`]))
      .rows;
    return {
      side: 'in',
      fault,
      transport,
      messages,
      repeats: tally.frames - messages,
      lost: messages - new Set(stored).size + (messages - (effects?.orders ?? 0)),
      twice: stored.length - new Set(stored).size + (effects?.changed ?? 0),
      disordered: disorder(stored),
      other: tally.wrongAnswers + refused,
      seconds: (performance.now() - started) / 1_000,
    };
  }

  private name(side: string): string {
    this.run += 1;
    return `${side}${this.run}x${Date.now().toString(36)}`;
  }

  private async killAndStart(door: Transport): Promise<void> {
    await this.server.kill('SIGKILL');
    await this.server.start(this.doors[door]);
  }

  private async away(receiver: FaultyRis, fault: 'refused' | 'tls-refused'): Promise<void> {
    await receiver.close();
    if (fault === 'tls-refused') await receiver.listen(TLS_CLIENT);
    await sleep(AWAY_MS);
    if (fault === 'tls-refused') await receiver.close();
    await receiver.listen();
  }

  /** Those whom it must not let in: without a certificate, and without TLS. Counts those that got an answer. */
  private async refusedByDoor(bytes: Buffer | undefined): Promise<number> {
    const { port } = { port: this.server.mllpPort };
    let answered = 0;
    for (const secure of [{ tls: { ca: TLS_SERVER.cert } }, {}]) {
      const tries = sendLanes({ port, every: EVERY, fault: 'none', ...secure }, [
        [{ id: 'X', bytes: bytes ?? Buffer.alloc(0) }],
      ]);
      answered += await Promise.race([
        tries.then(
          () => 1,
          () => 0,
        ),
        sleep(1_500, 0),
      ]);
    }
    return answered;
  }

  private async queue(
    name: string,
    destination: string,
    messages: number,
    withLarge: boolean,
  ): Promise<void> {
    await this.sql.query('BEGIN');
    const large = withLarge ? LARGE_CHARACTERS : 0;
    await this.sql.query(QUEUE_MESSAGES, [name, OUT_LANES, messages, destination, large]);
    await this.sql.query(QUEUE_JOBS, [name, destination]);
    await this.sql.query('SELECT pg_notify($1, $2)', ['outbox', `ris-send@${destination}`]);
    await this.sql.query('COMMIT');
  }

  private async waiting(destination: string): Promise<number> {
    const { rows } = await this.sql.query(`SELECT 1 FROM outbox WHERE queue = $1 AND state <> 'dead'`, [
      `ris-send@${destination}`,
    ]);
    return rows.length;
  }

  /** Messages that were sent again after their acknowledgement was on record. */
  private async sentAfterItsAck(name: string): Promise<number> {
    const { rows } = await this.sql.query(SENT_AFTER_ACK, [name]);
    return rows.length;
  }

  /** Control ids in the order in which they were stored. */
  private async stored(name: string): Promise<string[]> {
    const { rows } = await this.sql.query<{ control_id: string }>(
      'SELECT control_id FROM hl7_inbound WHERE control_id LIKE $1 ORDER BY id',
      [`${name}-%`],
    );
    return rows.map((row) => row.control_id);
  }

  /** By the placer number: the control id says nothing where it is used again. Every message but the first of a lane must be flagged. */
  private async storedOrders(name: string): Promise<string[]> {
    const { rows } = await this.sql.query<{ raw: Buffer; flags: string[] }>(
      'SELECT raw, flags FROM hl7_inbound WHERE control_id LIKE $1 ORDER BY id',
      [`${name}-%`],
    );
    const unflagged = rows.filter(({ flags }) => !flags.includes('control-id-reused')).length;
    if (unflagged !== new Set(rows.map(({ raw }) => controlIdOf(raw))).size)
      throw new Error(`${unflagged} messages are not flagged as using a control id again`);
    return rows.map(({ raw }) => /\rORC\|NW\|([^^]*)/.exec(raw.toString('latin1'))?.[1] ?? '');
  }

  private async unfiled(name: string): Promise<number> {
    const { rows } = await this.sql.query(
      'SELECT 1 FROM hl7_inbound WHERE control_id LIKE $1 AND filing_outcome IS NULL',
      [`${name}-%`],
    );
    return rows.length;
  }
}

/** `| side | fault | transport | ...`, for the page in `docs/`. */
export function faultTable(rows: readonly FaultRow[]): string {
  const head =
    '| side | fault | transport | messages | sent again | lost | applied twice | out of order | s |\n|---|---|---|---|---|---|---|---|---|';
  const lines = rows.map(
    (row) =>
      `| ${row.side} | ${row.fault} | ${row.transport} | ${row.messages} | ${row.repeats} | ${row.lost} | ${row.twice} | ${row.disordered} | ${row.seconds.toFixed(1)} |`,
  );
  return [head, ...lines].join('\n');
}

/** Why a row is not good; empty when it is. */
export function faultsOf(row: FaultRow): string[] {
  const wrong = [
    row.lost !== 0 ? `${row.lost} lost` : '',
    row.twice !== 0 ? `${row.twice} applied twice` : '',
    row.disordered !== 0 ? `${row.disordered} out of order` : '',
    row.side === 'out' && row.other > 1 ? `${row.other} in flight in one lane` : '',
    row.side === 'in' && row.other > 0 ? `${row.other} wrong answers` : '',
  ];
  return wrong.filter((one) => one !== '').map((one) => `${row.side} ${row.fault} ${row.transport}: ${one}`);
}

const SENDER_TLS = { ca: TLS_SERVER.cert, cert: TLS_CLIENT.cert, key: TLS_CLIENT.key };
const isSender = (fault: InAccident): fault is SenderFault => fault !== 'kill-9' && fault !== 'tls-refused';

/** Twelve million characters: what a PDF or a picture in a message comes to. */
const LARGE_CHARACTERS = 12_000_000;
const ACKS_ASKED: Readonly<Record<string, string>> = { enhanced: '|||AL|AL', 'enhanced-commit': '|||AL|NE' };

const controlIdOf = (raw: Buffer): string => raw.toString('latin1').split('|')[9] ?? '';

function order(name: string, lane: number, number: number, fault: InAccident): { id: string; bytes: Buffer } {
  const id = `${name}-${lane}-${number}`;
  // The sender counts its control ids anew for each five messages of the lane, as one does that is started again.
  const controlId = fault === 'reused-id' ? `${name}-${lane}-${((number - 1) % 5) + 1}` : id;
  const isLarge = fault === 'large' && number === EVERY && lane % 4 === 0;
  const segments = [
    `MSH|^~\\&|RIS|FAULTS|PRELIM|RAD|20260115101522||ORM^O01|${controlId}|P|2.5.1${ACKS_ASKED[fault] ?? ''}`,
    `PID|1||${name}L${lane}^^^FAULTS^MR||TEST^ORDER||19700101|U`,
    'PV1|1|O',
    `ORC|NW|${id}^RIS|F${id}^RIS`,
    `OBR|1|${id}^RIS|F${id}^RIS|71045^XR CHEST 1 VIEW^C4||||||||||||||A${id}`,
  ];
  if (isLarge)
    segments.push(`OBX|1|ED|PDF^Letter^L||^application^pdf^Base64^${'A'.repeat(LARGE_CHARACTERS)}||||||F`);
  return { id: controlId, bytes: Buffer.from(`${segments.join('\r')}\r`) };
}

/** How many of one lane do not follow the one before. */
function disorder(ids: readonly string[]): number {
  const last = new Map<string, number>();
  let wrong = 0;
  for (const id of ids) {
    const [, lane = '', number = '0'] = id.split('-');
    if (Number(number) !== (last.get(lane) ?? 0) + 1) wrong += 1;
    last.set(lane, Number(number));
  }
  return wrong;
}

async function until(met: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + END_MS_MAX; !(await met()); await sleep(20))
    if (Date.now() > end) throw new Error(`not in ${END_MS_MAX / 1_000} s: ${what}`);
}

const STATES =
  "SELECT state, count(*)::int AS n FROM hl7_outbound WHERE report_id LIKE $1 || '-%' GROUP BY state";
const SENT_AFTER_ACK = `SELECT a.message_id FROM hl7_attempt a JOIN hl7_outbound m ON m.id = a.message_id
  WHERE m.report_id LIKE $1 || '-%' AND a.outcome = 'AA' AND (a.attempt < m.attempts OR a.attempt > 1 AND EXISTS (
    SELECT 1 FROM hl7_attempt b WHERE b.message_id = a.message_id AND b.outcome = 'AA' AND b.id <> a.id))`;
const ORDERS = `SELECT count(*)::int AS orders, count(*) FILTER (WHERE version > 1)::int AS changed
  FROM resource WHERE type = 'ServiceRequest' AND content LIKE $1`;
const QUEUE_MESSAGES = `INSERT INTO hl7_outbound
    (id, destination, lane, control_id, raw, report_id, report_version, message_time, patient_id, mrn, accession, result_status)
  SELECT gen_random_uuid(), $4, 'ris:' || $4 || ':' || $1 || lane, $1 || lane || '-' || number,
    convert_to(E'MSH|^~\\\\&|PRELIM|RADIOLOGY|RIS|HOSPITAL|20260115101522+0000||ORU^R01^ORU_R01|' || $1 || lane || '-' || number
      || E'|P|2.5.1\\rPID|1||' || lane || E'\\rOBX|1|TX|19005-8^Impression^LN|1|Nothing abnormal.' || CASE WHEN $5::int > 0 AND n % 40 = 17 THEN repeat('A', $5::int) ELSE '' END || E'\\r', 'UTF8'),
    $1 || '-' || n, 1, now(), $1 || lane, 'M' || lane, 'A' || $1 || n, 'P'
  FROM (SELECT n, n % $2::int AS lane, n / $2::int + 1 AS number FROM generate_series(0, $3::int - 1) AS n) AS all_of_them ORDER BY n`;
const QUEUE_JOBS = `INSERT INTO outbox (queue, key, payload)
  SELECT DISTINCT 'ris-send@' || $2, lane, jsonb_build_object('lane', lane, 'destination', $2) FROM hl7_outbound WHERE report_id LIKE $1 || '-%'`;
