import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

/** Both ends of a partner that nobody of us wrote: they count what is lost, repeated and out of order by themselves. */
const PLACE = resolve('../shared/tools/mllp-load.mjs');
const missing = !existsSync(PLACE);

type Options = Readonly<Record<string, string | boolean>>;
interface Report {
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly accepted: number;
  readonly failed: number;
  readonly unique: number;
  readonly duplicateAcked: number;
  readonly ackIdMismatch: number;
  readonly acks: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
}
interface Harness {
  parseArgs(args: readonly string[]): Options;
  makeId(run: string, patient: number, sequence: number): string;
  send(options: Options): Promise<Report>;
  receive(options: Options): {
    readonly ready: Promise<number>;
    readonly done: Promise<Report>;
    finish(): void;
  };
}

const LANES = 4;
const MESSAGES = 24;
/** Answers that come later than this are too late: `--late-ms`, `--noack-every`. */
const ACK_TIMEOUT_MS = 400;
/** All ways of receiving at once, each with what it must have done to count. `rejected`: dead letters, by the profile. */
const RECEIVERS: readonly (readonly [
  name: string,
  args: string,
  did: (report: Report) => boolean,
  rejected?: number,
])[] = [
  ['no-fault', '', ({ acks }) => acks['AA'] === MESSAGES],
  ['minimal', '--minimal', ({ acks }) => acks['AA'] === MESSAGES],
  ['delay', '--delay-ms 30 --delay-every 2', ({ faults }) => faults['delayed']! > 0],
  ['drop-before-ack', '--drop-every 8', ({ faults }) => faults['dropped']! > 0],
  ['drop-mid-ack', '--drop-every 8 --drop-when mid-ack', ({ faults }) => faults['dropped']! > 0],
  ['drop-after-ack', '--drop-every 8 --drop-when after-ack', ({ faults }) => faults['dropped']! > 0],
  ['ae', '--ae-every 6', ({ acks }) => acks['AE']! > 0],
  ['ae-again-and-again', '--ae-every 6 --fault-repeat', ({ acks }) => acks['AE']! > 0],
  ['ar', '--ar-every 6 --order-seq MSH-7', ({ acks }) => acks['AR'] === 4, 4],
  ['no-ack', '--noack-every 12', ({ faults }) => faults['noAck']! > 0],
  ['late-ack', `--late-ms ${2 * ACK_TIMEOUT_MS} --late-every 12`, ({ faults }) => faults['late']! > 0],
  ['foreign-ack', '--wrong-id-every 12', ({ faults }) => faults['wrongId']! > 0],
  ['ack-in-pieces', '--split-ack', ({ acks }) => acks['AA'] === MESSAGES],
  ['pause', '--pause-ms 200 --pause-every 8', ({ faults }) => faults['paused']! > 0],
  ['enhanced', '--ack-mode enhanced', ({ acks }) => acks['CA']! >= MESSAGES],
  [
    'order-by-fields',
    '--order-key PID-3.1 --order-seq MSH-7 --max-frame 100000',
    ({ acks }) => acks['AA'] === MESSAGES,
  ],
  ['tls', '--tls', ({ acks }) => acks['AA'] === MESSAGES],
  ['mutual-tls', '--tls --mtls', ({ acks }) => acks['AA'] === MESSAGES],
];
const SENDERS: readonly (readonly [name: string, args: string, messages: number, more?: Partial<Report>])[] =
  [
    ['one connection', '--type ORM^O01', 50],
    ['eight connections, many patients', '--type ORM^O01 --conns 8 --patients 200', 400],
    ['as many connections as there may be', '--type ORM^O01 --conns 60 --patients 60', 240],
    ['bytes one by one', '--type ORM^O01 --conns 4 --split 1 --size 400', 20],
    ['pieces and repeats', '--type ORM^O01 --conns 4 --split 13 --dup-every 10', 100, { duplicateAcked: 10 }],
    ['sixteen frames in one packet', '--type ORM^O01 --conns 4 --window 16 --pack 16', 320],
    ['noise between frames', '--type ORM^O01 --conns 4 --noise-every 3', 90],
    ['enhanced mode', '--type ORM^O01 --conns 4 --ack-mode enhanced', 80],
    ['enhanced mode, accept only', '--type ORM^O01 --conns 4 --ack-mode enhanced-commit', 80],
    ['a fixed rate', '--type ORM^O01 --conns 2 --rate 100', 60],
    [
      'an impatient sender',
      '--type ORM^O01 --conns 2 --timeout-ms 2000 --retries 20 --backoff-ms 20 --on-ae skip',
      40,
    ],
    ['a template in another character set', '--template TEMPLATE --charset latin1', 20],
    ['ADT', '--type ADT^A08 --conns 4', 80],
    ['reports', '--type ORU^R01^ORU_R01 --conns 4', 80],
    ['large reports', '--type ORU^R01^ORU_R01 --size 300000', 3],
  ];

describe.skipIf(missing)(
  missing ? 'skipped: no shared tools' : 'The harness in every mode against a running server',
  () => {
    let harness: Harness;
    let server: PrelimServer;
    let sql: pg.Client;
    const receivers = new Map<string, { port: number; done: Promise<Report>; finish(): void }>();
    const words = (text: string) => text.split(' ').filter((word) => word !== '');
    const file = (name: string, text: string | Buffer) => {
      const path = join(server.folder, name);
      writeFileSync(path, text);
      return path;
    };

    beforeAll(async () => {
      harness = (await import(realpathSync(PLACE))) as Harness;
      const url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
      server = await PrelimServer.make({
        DATABASE_URL: url,
        LOG_LEVEL: 'error',
        HL7_CONNECTIONS_PER_ADDRESS_MAX: '256',
      });
      const [cert, key] = [file('cert.pem', TLS_SERVER.cert), file('key.pem', TLS_SERVER.key)];
      const [ourCert, ourKey] = [file('our.pem', TLS_CLIENT.cert), file('our-key.pem', TLS_CLIENT.key)];
      for (const [name, args, , rejected = 0] of RECEIVERS) {
        const expected = ['--expect', String(MESSAGES - rejected)];
        const tls = args.includes('--tls') ? ['--cert', cert, '--key', key, '--ca', ourCert] : [];
        const receiver = harness.receive(harness.parseArgs([...words(args), ...expected, ...tls]));
        receivers.set(name, { ...receiver, port: await receiver.ready });
      }
      const destinations = RECEIVERS.map(([name, args]) => ({
        name,
        url: `${args.includes('--tls') ? 'mllps' : 'mllp'}://127.0.0.1:${receivers.get(name)!.port}`,
        ackTimeoutMs: ACK_TIMEOUT_MS,
        ...(args.includes('--tls')
          ? { tls: { ca: cert, ...(args.includes('--mtls') ? { cert: ourCert, key: ourKey } : {}) } }
          : {}),
        profile: { connectionsMax: LANES, ...(name === 'enhanced' ? { ackMode: 'enhanced' } : {}) },
      }));
      await server.start({ RIS_DESTINATIONS: file('destinations.json', JSON.stringify({ destinations })) });
      sql = new pg.Client({ connectionString: url });
      await sql.connect();
      await queueAll();
    }, 60_000);
    afterAll(async () => {
      for (const one of receivers.values()) one.finish();
      await sql?.end();
      await server?.close();
    });

    /** The same messages for every receiver; control ids as the harness numbers them, so that it sees order and gaps. */
    async function queueAll(): Promise<void> {
      for (const [at, [name]] of RECEIVERS.entries()) {
        const run = (46_000 + at).toString(36).toUpperCase().slice(0, 3).padStart(3, '0');
        const ids = Array.from({ length: MESSAGES }, (_, n) =>
          harness.makeId(run, n % LANES, Math.floor(n / LANES) + 1),
        );
        await sql.query(QUEUE_MESSAGES, [name, ids]);
        await sql.query(QUEUE_JOBS, [name]);
        await sql.query('SELECT pg_notify($1, $2)', ['outbox', `ris-send@${name}`]);
      }
    }

    it('sends in every way: each message is accepted, each answer is its own, each repeat is answered again', async () => {
      const template = file(
        'latin.hl7',
        'MSH|^~\\&|LOAD|BENCH|RIS|SITE|{{TS}}||ADT^A08|{{ID}}|T|2.5.1||||||8859/1\nPID|1||{{PID}}L^^^BENCH^MR||MÜLLER\n',
      );
      const ids = join(server.folder, 'ids.txt');
      const reports = await Promise.all(
        SENDERS.map(async ([name, args, messages], at) => {
          const given = words(args.replace('TEMPLATE', template));
          const common = [
            '--port',
            String(server.mllpPort),
            '--messages',
            String(messages),
            '--max-seconds',
            '40',
          ];
          const out = at === 0 ? ['--ids-out', ids] : [];
          return [name, await harness.send(harness.parseArgs([...given, ...common, ...out]))] as const;
        }),
      );
      for (const [at, [name, report]] of reports.entries()) {
        const [, , messages, more = {}] = SENDERS[at]!;
        const { problems, accepted, failed, ackIdMismatch, duplicateAcked } = report;
        expect({ name, problems, accepted, failed, ackIdMismatch, duplicateAcked }).toEqual({
          ...{ name, problems: [], accepted: messages, failed: 0, ackIdMismatch: 0, duplicateAcked: 0 },
          ...more,
        });
      }
      const accepted = readFileSync(ids, 'utf8')
        .split('\n')
        .filter((id) => id !== '');
      const { rows } = await sql.query('SELECT 1 FROM hl7_inbound WHERE control_id = ANY($1)', [accepted]);
      expect(rows).toHaveLength(accepted.length);
    }, 60_000);

    it('receives in every way: nothing is lost, nothing goes out of its order, what is refused is a dead letter', async () => {
      await settled();
      const { rows } = await sql.query<{ destination: string; state: string; n: number }>(STATES);
      for (const [name, , did, rejected = 0] of RECEIVERS) {
        const receiver = receivers.get(name)!;
        receiver.finish();
        const report = await receiver.done;
        const states = rows
          .filter(({ destination }) => destination === name)
          .map(({ state, n }) => `${n} ${state}`);
        expect({ name, problems: report.problems, did: did(report), states }).toEqual({
          ...{ name, problems: [], did: true },
          states: [`${MESSAGES - rejected} acknowledged`, ...(rejected > 0 ? [`${rejected} rejected`] : [])],
        });
      }
    }, 60_000);

    async function settled(): Promise<void> {
      for (;;) {
        const { rows } = await sql.query(
          `SELECT 1 FROM outbox WHERE queue LIKE 'ris-send@%' AND state <> 'dead' LIMIT 1`,
        );
        if (rows.length === 0) return;
        await sleep(50);
      }
    }
  },
);

const QUEUE_MESSAGES = `INSERT INTO hl7_outbound
    (id, destination, lane, control_id, raw, report_id, report_version, message_time, patient_id, mrn, accession, result_status)
  SELECT gen_random_uuid(), $1, 'ris:' || $1 || ':' || substr(id, 5, 4), id,
    convert_to(E'MSH|^~\\\\&|PRELIM|RADIOLOGY|RIS|HOSPITAL|' || 20260115100000 + n || E'||ORU^R01^ORU_R01|' || id
      || CASE WHEN $1 = 'enhanced' THEN E'|P|2.5.1|||AL|AL' ELSE E'|P|2.5.1' END || E'\\rPID|1||' || substr(id, 5, 4) || E'\\rOBX|1|TX|19005-8^Impression^LN|1|Nothing abnormal.\\r', 'UTF8'),
    $1 || '-' || n, 1, now(), substr(id, 5, 4), 'M', 'A', 'P'
  FROM unnest($2::text[]) WITH ORDINALITY AS all_of_them(id, n) ORDER BY id`;
const QUEUE_JOBS = `INSERT INTO outbox (queue, key, payload)
  SELECT DISTINCT 'ris-send@' || $1, lane, jsonb_build_object('lane', lane, 'destination', $1) FROM hl7_outbound WHERE destination = $1`;
const STATES = 'SELECT destination, state, count(*)::int AS n FROM hl7_outbound GROUP BY 1, 2 ORDER BY 1, 2';
