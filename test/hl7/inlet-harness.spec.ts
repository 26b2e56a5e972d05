import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { serverDatabaseUrl } from '../fresh-server.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

/** Sends messages to the built server, more, larger and longer than in every way of sending (`harness.spec.ts`), and checks every answer. */
const PLACE = resolve('../shared/tools/mllp-load.mjs');
const missing = !existsSync(PLACE);
/** It runs only under its own name, not that of a link to it. */
const TOOL = missing ? '' : realpathSync(PLACE);
/** `npm run bench -- hl7` measures it; here other things run on the machine too. */
const LARGE_MS_MAX = 3_000;
const LARGE_BYTES = 12 * 1024 * 1024;

interface Report {
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly accepted: number;
  readonly failed: number;
  readonly acks: Readonly<Record<string, number>>;
  readonly ackIdMismatch: number;
  readonly duplicateAcked: number;
  readonly latencyMs: { readonly p50: number } | null;
}

async function send(port: number, args: readonly string[]): Promise<Report> {
  const child = spawn(
    process.execPath,
    [TOOL, 'send', '--port', String(port), '--max-seconds', '60', ...args],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  await once(child, 'close');
  return JSON.parse(out) as Report;
}
const words = (text: string) => text.split(' ').filter((word) => word !== '');

describe.skipIf(missing)(missing ? 'skipped: no shared tools' : 'A sender of every kind', () => {
  let server: PrelimServer;
  let sql: pg.Client;
  beforeAll(async () => {
    const url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
    server = await PrelimServer.start({ DATABASE_URL: url });
    sql = new pg.Client({ connectionString: url });
    await sql.connect();
  }, 60_000);
  afterAll(async () => {
    await server?.close();
    await sql?.end();
  });

  it('over as many connections as there may be has every message accepted, and every answer is its own', async () => {
    const report = await send(
      server.mllpPort,
      words('--type ORM^O01 --conns 256 --messages 1000 --patients 256'),
    );
    expect(report.problems).toEqual([]);
    expect(report).toMatchObject({ ok: true, accepted: 1_000, failed: 0, ackIdMismatch: 0 });
  }, 90_000);

  it('with a document of 12 MiB is answered in time', async () => {
    const template = join(server.folder, 'large.hl7');
    const lines = [
      'MSH|^~\\&|RIS|SITE|PRELIM|RAD|{{TS}}||ORU^R01^ORU_R01|{{ID}}|T|2.5.1',
      'PID|1||{{PID}}^^^BENCH^MR',
      'ORC|RE|L{{SEQ}}^RIS|M{{SEQ}}^RIS',
      'OBR|1|L{{SEQ}}^RIS|M{{SEQ}}^RIS|71045^XR CHEST 1 VIEW^C4|||20260115|||||||||||A{{SEQ}}|||||||RAD|F',
      `OBX|1|ED|11528-7^Report^LN||RIS^Application^PDF^Base64^${'QUJD'.repeat(LARGE_BYTES / 4)}||||||F`,
    ];
    writeFileSync(template, `${lines.join('\r')}\r`);
    const report = await send(server.mllpPort, [
      '--template',
      template,
      '--messages',
      '3',
      '--timeout-ms',
      '20000',
    ]);
    expect(report).toMatchObject({ ok: true, accepted: 3 });
    expect(report.latencyMs!.p50).toBeLessThan(LARGE_MS_MAX);
    expect(readFileSync(template).length).toBeGreaterThan(LARGE_BYTES);
  }, 90_000);

  it('with 12 MB in short lines is answered in time; their 120,000 coded results are filed as text', async () => {
    const args = [
      '--type',
      'ORU^R01^ORU_R01',
      '--size',
      '12000000',
      '--messages',
      '1',
      '--timeout-ms',
      '20000',
    ];
    const report = await send(server.mllpPort, args);
    expect(report).toMatchObject({ ok: true, accepted: 1 });
    expect(report.latencyMs!.p50).toBeLessThan(LARGE_MS_MAX);
    const outcome = async () =>
      (
        await sql.query(
          `SELECT filing_outcome, flags FROM hl7_inbound WHERE octet_length(raw) > 11000000 ORDER BY id DESC LIMIT 1`,
        )
      ).rows[0];
    const filed = { filing_outcome: 'filed', flags: expect.arrayContaining(['results-as-text']) };
    await expect.poll(outcome, { timeout: 30_000 }).toMatchObject(filed);
  }, 60_000);

  it('loses nothing that was accepted when the server is killed while it sends, twice', async () => {
    const ids = join(server.folder, 'ids.txt');
    const args = '--type ORM^O01 --conns 8 --messages 3000 --rate 300 --retries 1000 --backoff-ms 100';
    const sent = send(server.mllpPort, [...words(args), '--ids-out', ids]);
    for (let kills = 0; kills < 2; kills += 1) {
      await sleep(1_500);
      await server.kill('SIGKILL');
      await server.start();
    }
    const report = await sent;
    expect(report.accepted + report.failed).toBe(3_000);
    const accepted = readFileSync(ids, 'utf8')
      .split('\n')
      .filter((id) => id !== '');
    expect(accepted.length).toBe(report.accepted);
    expect(accepted.length).toBeGreaterThan(1_000);
    const { rows } = await sql.query<{ control_id: string; times: number }>(
      'SELECT control_id, count(*)::int AS times FROM hl7_inbound WHERE control_id = ANY($1) GROUP BY 1',
      [accepted],
    );
    expect(rows.length).toBe(accepted.length);
    expect(rows.filter((row) => row.times !== 1)).toEqual([]);
  }, 120_000);
});

describe.skipIf(missing)(missing ? 'skipped: no shared tools' : 'A sender over mutual TLS', () => {
  let server: PrelimServer;
  const files: Record<string, string> = {};
  beforeAll(async () => {
    server = await PrelimServer.make({ DATABASE_URL: await serverDatabaseUrl() });
    const pem = {
      cert: TLS_SERVER.cert,
      key: TLS_SERVER.key,
      clientCert: TLS_CLIENT.cert,
      clientKey: TLS_CLIENT.key,
    };
    for (const [name, text] of Object.entries(pem)) {
      files[name] = join(server.folder, `${name}.pem`);
      writeFileSync(files[name]!, text);
    }
    await server.start({
      HL7_TLS_CERT: files['cert']!,
      HL7_TLS_KEY: files['key']!,
      HL7_TLS_CA: files['clientCert']!,
    });
  });
  afterAll(() => server?.close());

  it('with a certificate has every message accepted, also in pieces and repeated', async () => {
    const tls = [
      '--tls',
      '--ca',
      files['cert']!,
      '--cert',
      files['clientCert']!,
      '--key',
      files['clientKey']!,
    ];
    const args = words('--type ORM^O01 --conns 8 --messages 500 --split 13 --dup-every 50');
    expect(await send(server.mllpPort, [...tls, ...args])).toMatchObject({
      ok: true,
      accepted: 500,
      duplicateAcked: 10,
    });
  }, 60_000);

  it('without one gets no message in', async () => {
    const args = [
      '--tls',
      '--ca',
      files['cert']!,
      ...words('--type ORM^O01 --messages 2 --retries 1 --backoff-ms 10'),
    ];
    expect(await send(server.mllpPort, args)).toMatchObject({ ok: false, accepted: 0 });
  }, 60_000);
});
