import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MllpClient } from '../src/hl7/mllp-client.ts';
import { Failure } from '../src/kernel/errors.ts';
import { type DayMessage, simulatedDay } from './simulate-day.ts';
import { percentile, TLS_OPTIONS, tlsOf, wholeNumber } from './simulate-options.ts';

export const ORDERS_USAGE = `npm run simulate -- orders [--to mllp://127.0.0.1:2575] [--count 1000] [--rate <per second>]
                            [--seed 1] [--run <letters>] [--connections 4] [--tries 5] [--again-every <n>]
                            [--ack-timeout-ms 30000] [--tls-ca <pem>] [--tls-cert <pem> --tls-key <pem>]
  Sends a day of a department: ADT A01, A04, A08, A40; orders by ORM^O01, OMI^O23, OMG^O19; cancellations.
  --rate         messages per second offered; 0: as fast as they are acknowledged
  --seed         the same seed gives the same day
  --run          stands in every number; left out, it is made of the time, so that each run has its own patients
  --connections  the messages of one patient stay on one of them, in order
  --tries        how often a message without an AA is sent (same bytes) before it counts as failed
  --again-every  sends every nth message a second time after its answer; the answer must be the same
  Exit code: 0 all accepted; 1 a message was refused, failed, or answered otherwise the second time.
`;

const OPTIONS = {
  to: { type: 'string', default: 'mllp://127.0.0.1:2575' },
  count: { type: 'string', default: '1000' },
  rate: { type: 'string', default: '0' },
  seed: { type: 'string', default: '1' },
  run: { type: 'string', default: '' },
  connections: { type: 'string', default: '4' },
  tries: { type: 'string', default: '5' },
  'again-every': { type: 'string', default: '0' },
  'ack-timeout-ms': { type: 'string', default: '30000' },
  ...TLS_OPTIONS,
} as const;

/** How a day was received. */
export interface DayResult {
  readonly counts: Map<string, { sent: number; accepted: number; refused: number; failed: number }>;
  /** Milliseconds from the first byte of the first try to the AA or AR, sorted. */
  readonly latencies: number[];
  /** Why messages were not accepted: code → how many. */
  readonly reasons: Map<string, number>;
  resent: number;
  /** A message sent again was answered otherwise than before. */
  otherwise: number;
}

/** Sends the day and reports on standard output; gives the exit code. */
export async function simulateOrders(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const to = URL.canParse(values.to) ? new URL(values.to) : null;
  if (to === null || !/^mllps?:$/.test(to.protocol) || to.port === '')
    throw new Error('--to must be mllp://host:port or mllps://host:port.');
  if (!/^[A-Za-z0-9]{0,8}$/.test(values.run)) throw new Error('--run must be up to 8 letters and digits.');
  const run = values.run || Date.now().toString(36).slice(-6).toUpperCase();
  const count = wholeNumber('count', values.count, 1, 10_000_000);
  const connections = wholeNumber('connections', values.connections, 1, 256);
  const tls = tlsOf(values);
  const sender = new DaySender({
    to,
    tries: wholeNumber('tries', values.tries, 1, 1_000),
    rate: wholeNumber('rate', values.rate, 0, 100_000),
    againEvery: wholeNumber('again-every', values['again-every'], 0, 1_000_000),
    ackTimeoutMs: wholeNumber('ack-timeout-ms', values['ack-timeout-ms'], 10, 600_000),
    tls: tls ?? {},
  });
  const started = performance.now();
  const day = simulatedDay(wholeNumber('seed', values.seed, 0, 2 ** 31), run, () => new Date());
  const result = await sender.send(day, count, connections);
  return report(result, (performance.now() - started) / 1_000, run);
}

interface SenderOptions {
  readonly to: URL;
  readonly tries: number;
  readonly rate: number;
  readonly againEvery: number;
  readonly ackTimeoutMs: number;
  readonly tls: object;
}

/** Messages drawn ahead of those that are answered, per connection: bounds the memory. */
const AHEAD_MAX = 64;

class DaySender {
  private readonly result: DayResult = {
    counts: new Map(),
    latencies: [],
    reasons: new Map(),
    resent: 0,
    otherwise: 0,
  };

  constructor(private readonly options: SenderOptions) {}

  async send(day: Generator<DayMessage>, count: number, connections: number): Promise<DayResult> {
    const clients = Array.from({ length: connections }, () => this.client());
    const turns = clients.map(() => Promise.resolve());
    const waiting = clients.map(() => 0);
    const started = performance.now();
    for (let n = 0; n < count; n += 1) {
      const message = day.next().value as DayMessage;
      const at = message.lane % connections;
      if (this.options.rate > 0) await sleepUntil(started + (n * 1_000) / this.options.rate);
      while ((waiting[at] ?? 0) >= AHEAD_MAX) await sleep(1);
      waiting[at] = (waiting[at] ?? 0) + 1;
      const again = this.options.againEvery > 0 && (n + 1) % this.options.againEvery === 0;
      turns[at] = (turns[at] as Promise<void>)
        .then(() => this.deliver(clients[at] as MllpClient, message, again))
        .finally(() => {
          waiting[at] = (waiting[at] ?? 1) - 1;
        });
    }
    await Promise.all(turns);
    for (const client of clients) client.close();
    this.result.latencies.sort((a, b) => a - b);
    return this.result;
  }

  private client(): MllpClient {
    const { to, ackTimeoutMs, tls } = this.options;
    return new MllpClient(to, { ackTimeoutMs, tls });
  }

  private async deliver(client: MllpClient, message: DayMessage, again: boolean): Promise<void> {
    const counts = this.result.counts.get(message.kind) ?? { sent: 0, accepted: 0, refused: 0, failed: 0 };
    this.result.counts.set(message.kind, counts);
    counts.sent += 1;
    const started = performance.now();
    const answer = await this.answerTo(client, message);
    if (answer.end === 'failed') counts.failed += 1;
    else {
      this.result.latencies.push(performance.now() - started);
      counts[answer.end] += 1;
    }
    if (answer.end !== 'accepted')
      this.result.reasons.set(answer.why, (this.result.reasons.get(answer.why) ?? 0) + 1);
    if (!again || answer.end === 'failed') return;
    const second = await this.answerTo(client, message);
    if (second.end !== answer.end) this.result.otherwise += 1;
  }

  /** Sends until it is accepted or refused for good, or the tries are used up. */
  private async answerTo(
    client: MllpClient,
    { bytes, controlId }: DayMessage,
  ): Promise<{ end: 'accepted' | 'refused' | 'failed'; why: string }> {
    let why = '';
    for (let attempt = 1; attempt <= this.options.tries; attempt += 1) {
      if (attempt > 1) this.result.resent += 1;
      try {
        const ack = await client.send(bytes, controlId);
        if (ack.code === 'AA' || ack.code === 'CA') return { end: 'accepted', why: '' };
        why = `${ack.code} ${ack.errorCode}`.trim();
        if (ack.code === 'AR' || ack.code === 'CR') return { end: 'refused', why };
        await sleep(Math.min(5_000, 100 * 2 ** attempt));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        why = error.code;
      }
    }
    return { end: 'failed', why };
  }
}

async function sleepUntil(time: number): Promise<void> {
  const wait = time - performance.now();
  if (wait > 1) await sleep(wait);
}

function report(result: DayResult, seconds: number, run: string): number {
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const total = { sent: 0, accepted: 0, refused: 0, failed: 0 };
  say(`run ${run}`);
  const rows = [...result.counts].sort(([a], [b]) => a.localeCompare(b));
  for (const [kind, counts] of rows) {
    say(`${kind.padEnd(16)} ${line(counts)}`);
    for (const key of ['sent', 'accepted', 'refused', 'failed'] as const) total[key] += counts[key];
  }
  say(`${'all'.padEnd(16)} ${line(total)}`);
  for (const [why, n] of result.reasons) say(`not accepted: ${n} x ${why}`);
  const [p50, p95, p99, most] = [0.5, 0.95, 0.99, 1].map((p) => percentile(result.latencies, p).toFixed(1));
  say(`answer: p50 ${p50} ms, p95 ${p95} ms, p99 ${p99} ms, longest ${most} ms`);
  say(
    `${(total.sent / seconds).toFixed(1)} messages/s in ${seconds.toFixed(1)} s, ${result.resent} sent again`,
  );
  if (result.otherwise > 0) say(`${result.otherwise} messages were answered otherwise when they came again`);
  return total.accepted === total.sent && result.otherwise === 0 ? 0 : 1;
}

const line = (counts: { sent: number; accepted: number; refused: number; failed: number }) =>
  `${counts.sent} sent, ${counts.accepted} accepted, ${counts.refused} refused, ${counts.failed} failed`;
