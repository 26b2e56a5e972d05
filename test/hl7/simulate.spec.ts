import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type DayMessage, simulatedDay } from '../../scripts/simulate-day.ts';
import { readMessage } from '../../src/hl7/codec.ts';
import { MllpClient } from '../../src/hl7/mllp-client.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/scripts/simulate.js');
const NOW = new Date('2026-03-01T08:00:00Z');

const day = (seed: number, count: number, run = 'T'): DayMessage[] => {
  const messages = simulatedDay(seed, run, () => NOW);
  return Array.from({ length: count }, () => messages.next().value as DayMessage);
};

describe('a simulated day', () => {
  test('the same seed gives the same bytes, another seed or run others', () => {
    const bytes = (messages: DayMessage[]) => Buffer.concat(messages.map((one) => one.bytes)).toString();
    expect(bytes(day(7, 200))).toBe(bytes(day(7, 200)));
    expect(bytes(day(8, 200))).not.toBe(bytes(day(7, 200)));
    expect(bytes(day(7, 200, 'U'))).not.toBe(bytes(day(7, 200)));
  });

  test('it holds admissions, corrections, all kinds of orders, cancellations and merges, each readable and with a number of its own', () => {
    const messages = day(1, 3_000);
    const kinds = new Set(messages.map(({ kind }) => kind));
    for (const kind of [
      'ADT^A01',
      'ADT^A04',
      'ADT^A08',
      'ADT^A40',
      'ORM^O01',
      'OMI^O23',
      'OMG^O19',
      'ORM^O01 cancel',
    ])
      expect(kinds).toContain(kind);
    expect(new Set(messages.map(({ controlId }) => controlId)).size).toBe(3_000);
    for (const { bytes, controlId, kind } of messages) {
      const message = readMessage(bytes);
      expect(message.get('MSH', 1, 10)).toBe(controlId);
      expect(`${message.get('MSH', 1, 9, 1)}^${message.get('MSH', 1, 9, 2)}`).toBe(kind.split(' ')[0]);
    }
  });

  test('accession numbers fit OBR-18, differ by order, and stay those of the order when it is cancelled', () => {
    const accessions = new Map<string, string>();
    for (const { bytes } of day(3, 2_000, 'ABCDEFGH')) {
      const message = readMessage(bytes);
      const [placer, accession] = [message.get('ORC', 1, 2), message.get('OBR', 1, 18)];
      if (placer === '') continue;
      expect(accession.length).toBeLessThanOrEqual(16);
      expect(accessions.get(accession) ?? placer).toBe(placer);
      accessions.set(accession, placer);
    }
    expect(accessions.size).toBeGreaterThan(500);
  });

  test('a patient is registered before anything else is said of him, and a merge names a patient that was registered', () => {
    const registered = new Set<string>();
    for (const { bytes, kind } of day(5, 3_000)) {
      const message = readMessage(bytes);
      const mrn = message.get('PID', 1, 3);
      if (kind === 'ADT^A01' || kind === 'ADT^A04') registered.add(mrn);
      expect(registered).toContain(mrn);
      if (kind === 'ADT^A40') expect(registered).toContain(message.get('MRG', 1, 1));
    }
  });
});

describe.skipIf(!existsSync(PROGRAM))('the simulator pair as programs (skipped: not built)', () => {
  const running: ChildProcess[] = [];
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });

  test('orders are taken by the RIS, every one acknowledged, in order and without repeats', async () => {
    const ris = await startRis([]);
    const orders = await run([
      'orders',
      '--to',
      `mllp://127.0.0.1:${ris.port}`,
      '--count',
      '300',
      '--seed',
      '4',
      '--again-every',
      '50',
    ]);
    expect(orders.said).toMatch(/^all\s+300 sent, 300 accepted, 0 refused, 0 failed$/m);
    expect(orders.said).toMatch(/p95 \d/);
    expect(orders.code).toBe(0);
    const ended = await ris.stop();
    expect(ended.said).toContain('300 different messages, 300 accepted');
    expect(ended.code).toBe(0);
    // Its lines name types and numbers, never a person.
    expect(ended.said).not.toMatch(/Muster|Sample|Simulation Road|Adelgunde/);
  });

  test.each(['no-ack', 'ae', 'wrong-msa', 'close', 'close-mid-ack', 'garbage', 'drip', 'late-ack'])(
    'fault %s is survived by a sender that sends again',
    async (fault) => {
      const ris = await startRis(['--fault', fault, '--every', '8', '--wait-ms', '900']);
      const orders = await run([
        'orders',
        '--to',
        `mllp://127.0.0.1:${ris.port}`,
        '--count',
        '40',
        '--ack-timeout-ms',
        '500',
        '--connections',
        '2',
      ]);
      expect(orders.said).toMatch(/^all\s+40 sent, 40 accepted/m);
      expect(orders.code).toBe(0);
      const ended = await ris.stop();
      expect(ended.said).toMatch(fault === 'drip' ? /-> AA/ : /fault|AE/);
      expect(ended.code).toBe(0);
    },
  );

  test('a rejected message and a receiver that is not there end with exit code 1 and a count by reason', async () => {
    const ris = await startRis(['--fault', 'ar', '--every', '5']);
    const refused = await run(['orders', '--to', `mllp://127.0.0.1:${ris.port}`, '--count', '20']);
    expect(refused.code).toBe(1);
    expect(refused.said).toContain('not accepted: 4 x AR');
    const lost = await run(['orders', '--to', 'mllp://127.0.0.1:1', '--count', '2', '--tries', '1']);
    expect(lost.code).toBe(1);
    expect(lost.said).toContain('hl7.connection');
  });

  test('results out of order and messages nobody can read are told, with exit code 1', async () => {
    const ris = await startRis(['--count', '2']);
    const client = new MllpClient(new URL(`mllp://127.0.0.1:${ris.port}`));
    const result = (id: string, at: string) =>
      Buffer.from(`MSH|^~\\&|A|B|C|D|${at}||ORU^R01|${id}|P|2.5.1\rOBR|1||R1|X||||||||||||||||||${at}|||P\r`);
    expect((await client.send(result('1', '20260301080002'), '1')).code).toBe('AA');
    await client
      .send(Buffer.from('MSH|^~\\&|A|B|C|D|1||ORU^R01|3|P|2.5.1\rpid|1\r'), '3')
      .then((ack) => expect(ack.code).toBe('AR'));
    expect((await client.send(result('2', '20260301080001'), '2')).code).toBe('AA');
    const ended = await ris.end;
    expect(ended.said).toContain('OUT OF ORDER');
    expect(ended.said).toContain('1 out of order, 1 unreadable');
    expect(ended.code).toBe(1);
    client.close();
  });

  test('what is no option is refused with the usage and exit code 2', async () => {
    for (const args of [
      [],
      ['ris', '--fault', 'fire'],
      ['orders', '--to', 'http://x'],
      ['orders', '--count', 'many'],
      ['ris', '--nothing'],
    ]) {
      const { code, said } = await run(args);
      expect(code).toBe(2);
      expect(said.length).toBeGreaterThan(10);
    }
  });

  function start(args: readonly string[]): {
    child: ChildProcess;
    said: () => string;
    end: Promise<{ code: number | null; said: string }>;
  } {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
    const end = once(child, 'close').then(() => ({ code: child.exitCode, said: text }));
    return { child, said: () => text, end };
  }

  const run = (args: readonly string[]) => start(args).end;

  async function startRis(args: readonly string[]) {
    const ris = start(['ris', '--port', '0', ...args]);
    await expect.poll(ris.said, { timeout: 10_000 }).toMatch(/listening on/);
    const stop = () => {
      ris.child.kill('SIGTERM');
      return ris.end;
    };
    return { port: Number(/:(\d+)/.exec(ris.said())?.[1]), end: ris.end, stop };
  }
});
