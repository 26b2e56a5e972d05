import { randomBytes } from 'node:crypto';
import net from 'node:net';
import pg from 'pg';
import { percentile } from './percentile.ts';

/** What this process is asked to do; `close` ends it. */
export type Hl7LoadJob =
  /** Single-row transactions over so many connections of raw `pg`, one statement each, for so long. */
  | {
      readonly kind: 'floor';
      readonly database: object;
      readonly connections: number;
      readonly seconds: number;
    }
  /** Messages to an MLLP listener, each sent when the one before is answered; `rate` is messages a second on all connections, 0 as many as go. */
  | {
      readonly kind: 'send';
      readonly port: number;
      readonly connections: number;
      readonly seconds: number;
      readonly rate: number;
      readonly bytes: number;
    };

export interface Hl7LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly count: number;
  /** Answers other than AA. */
  readonly refused: number;
}

/** A chest radiograph ordered, of a number of bytes. Every message has its own control id and order; there are 500 patients. */
export function orderMessage(n: number, run: string, bytes: number): Buffer {
  const id = `${run}${n}`;
  const head = [
    `MSH|^~\\&|BENCH|HOSP|PRELIM|RAD|20260115101522+0000||ORM^O01^ORM_O01|${id}|P|2.5.1`,
    `PID|1||MRN${n % 500}^^^HOSP^MR||DOE^JANE^Q^^^^L||19650214|F|||1 MAIN ST^^SPRINGFIELD^^12345^USA`,
    `PV1|1|E|ED^12^A^HOSP||||77^HOUSE^GREGORY||||||||||||V${n % 500}^^^HOSP^VN`,
    `ORC|NW|P${id}^OE|||SC||^^^20260115103000^^S||20260115101500|||77^HOUSE^GREGORY`,
    `OBR|1|P${id}^OE||36643-5^XR Chest 2 Views^LN|||||||||||||||A${id}|RP${id}|SP${id}|||||RAD`,
    'NTE|1||',
  ].join('\r');
  return Buffer.from(`${head}${textOf(n, Math.max(0, bytes - head.length - 1))}\r`);
}

/** Letters that hardly repeat, so that PostgreSQL stores as much of the floor's messages as of ours. */
function textOf(n: number, characters: number): string {
  const start = (n * 977) % 4_096;
  return NOISE.slice(start, start + characters).padEnd(characters, NOISE);
}
export const NOISE = randomBytes(12_288).toString('base64');

async function floor(job: Extract<Hl7LoadJob, { kind: 'floor' }>): Promise<Hl7LoadResult> {
  const clients = Array.from({ length: job.connections }, () => new pg.Client(job.database));
  await Promise.all(clients.map((client) => client.connect()));
  const statement = {
    name: 'floor',
    text: 'INSERT INTO floor_message (control_id, raw) VALUES ($1, $2)',
  };
  const result = await measure(job.connections, job.seconds, 0, async (connection, n) => {
    await clients[connection]!.query({
      ...statement,
      values: [`F${n}`, orderMessage(n, 'F', MESSAGE_BYTES)],
    });
    return true;
  });
  await Promise.all(clients.map((client) => client.end()));
  return result;
}

async function send(job: Extract<Hl7LoadJob, { kind: 'send' }>): Promise<Hl7LoadResult> {
  const lines = await Promise.all(Array.from({ length: job.connections }, () => dial(job.port)));
  const run = `${Date.now().toString(36).slice(-6)}-`.toUpperCase();
  const result = await measure(job.connections, job.seconds, job.rate, async (connection, n) => {
    const ack = await lines[connection]!.ask(orderMessage(n, run, job.bytes));
    return ack.includes(`MSA|AA|${run}${n}`);
  });
  for (const line of lines) line.close();
  return result;
}

/** Work on each connection one after the other, until the time is over; times from the moment it was due. */
async function measure(
  connections: number,
  seconds: number,
  rate: number,
  work: (connection: number, n: number) => Promise<boolean>,
): Promise<Hl7LoadResult> {
  const times: number[] = [];
  let refused = 0;
  let next = 0;
  const began = performance.now();
  const ends = began + seconds * 1_000;
  const lane = async (connection: number): Promise<void> => {
    while (performance.now() < ends) {
      const n = next++;
      const due = rate > 0 ? began + (n / rate) * 1_000 : performance.now();
      if (due >= ends) return;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const at = Math.min(due, performance.now());
      if (!(await work(connection, n))) refused += 1;
      times.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, connection) => lane(connection)));
  const took = (performance.now() - began) / 1_000;
  return {
    perSecond: times.length / took,
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    count: times.length,
    refused,
  };
}

async function dial(port: number): Promise<{ ask(message: Buffer): Promise<string>; close(): void }> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let answered: ((ack: string) => void) | null = null;
  let lost: ((error: Error) => void) | null = null;
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    if (!received.endsWith('\x1c\r')) return;
    const ack = received;
    received = '';
    answered?.(ack);
  });
  socket.on('close', () => lost?.(new Error('the connection was closed')));
  return {
    ask: (message) =>
      new Promise((resolve, reject) => {
        [answered, lost] = [resolve, reject];
        socket.write(Buffer.concat([START, message, END]));
      }),
    close: () => socket.destroy(),
  };
}

const START = Buffer.of(0x0b);
const END = Buffer.of(0x1c, 0x0d);
/** As much as a usual order or report. */
export const MESSAGE_BYTES = 2_085;

if (process.send) {
  process.on('message', (job: Hl7LoadJob) => {
    (job.kind === 'floor' ? floor(job) : send(job)).then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
