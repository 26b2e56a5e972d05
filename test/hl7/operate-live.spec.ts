import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ShownMessage, ShownWhole } from '../../src/steps/message-log/shown.ts';
import { freshServer } from '../fresh-server.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { type RisPeer, sendOrder, startRis } from '../peers/ris.ts';
import { ORDER } from './operator-server.ts';

const SIMULATE = resolve(import.meta.dirname, '../../dist/scripts/simulate.js');
/** What must be found nowhere but where patient data belongs. */
const CANARY = 'QUARKSTRUDELWALZ';

describe.skipIf(!existsSync(SIMULATE))('the operator side of a running server (skipped: not built)', () => {
  let server: PrelimServer;
  let ris: RisPeer;
  beforeAll(async () => {
    ris = await startRis();
    server = await freshServer({
      RIS_URL: ris.url.href,
      LOG_LEVEL: 'debug',
      HL7_ALERT_SILENT: 'NOBODY:HOME=1',
      HL7_FRAME_BYTES_MAX: '70000',
    });
  }, 90_000);
  afterAll(async () => {
    await server?.close();
    await ris?.close();
  });

  const messages = async (search: string) =>
    ((await server.ask('GET', `/hl7/messages?${search}`)).body as { messages: ShownMessage[] }).messages;

  test('a simulated day is accepted, filed, and found in the log', async () => {
    const child = spawn(process.execPath, [
      SIMULATE,
      'orders',
      '--to',
      `mllp://127.0.0.1:${server.mllpPort}`,
      '--count',
      '300',
      '--seed',
      '11',
      '--again-every',
      '40',
    ]);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await once(child, 'close');
    expect(said).toMatch(/^all\s+300 sent, 300 accepted, 0 refused, 0 failed$/m);
    expect(child.exitCode).toBe(0);
    await expect
      .poll(async () => (await messages('direction=in&status=waiting')).length, { timeout: 30_000 })
      .toBe(0);
    expect(await messages('direction=in&status=held')).toEqual([]);
    const filed = await messages('direction=in&type=ADT%5EA40');
    expect(filed.length).toBeGreaterThan(0);
    expect(new Set(filed.map(({ status }) => status))).toEqual(new Set(['filed']));
    const again = await messages('direction=in&limit=200');
    expect(again.filter(({ repeats }) => repeats > 0).length).toBeGreaterThan(0);
  });

  test('patient data is in the log of messages, masked, and in no log line, metric, health answer or error', async () => {
    const order = ORDER.replaceAll('Zwiebelkuchen', CANARY)
      .replaceAll('Adelgunde', CANARY)
      .replaceAll('4711', CANARY)
      .replace('CTRL1', 'CANARY-1');
    await sendOrder(server.mllpPort, order);
    await sendOrder(
      server.mllpPort,
      order.replace('CANARY-1', 'CANARY-2').replace('PID|1||', 'PID|1|').replace('OMI^O23', 'ZZZ^Z01'),
    );
    const [found] = await messages('controlId=CANARY-1');
    const shown = (await server.ask('GET', `/hl7/messages/in/${found?.id}`)).body as ShownWhole;
    expect(JSON.stringify(shown)).not.toContain(CANARY);
    const open = (await server.ask('GET', `/hl7/messages/in/${found?.id}?unmask=true`)).body as ShownWhole;
    expect(JSON.stringify(open)).toContain(CANARY);
    const places = [
      '/metrics',
      '/health/ready',
      '/hl7/lanes',
      '/hl7/dead',
      '/hl7/alerts',
      '/hl7/actions',
      '/hl7/messages',
      `/hl7/messages?mrn=${CANARY}&colour=${CANARY}`,
    ];
    for (const place of places) expect((await server.ask('GET', place)).text, place).not.toContain(CANARY);
    expect(server.output()).not.toContain(CANARY);
    expect((await messages(`mrn=${CANARY}`)).map(({ controlId }) => controlId)).toContain('CANARY-1');
  });

  test('a frame beyond what the site allows is cut off, counted and told; nothing of it is stored', async () => {
    const large = ORDER.replace('CTRL1', 'LARGE-1').concat(`NTE|1||${'x'.repeat(70_000)}\r`);
    await expect(sendOrder(server.mllpPort, large)).rejects.toThrow(/closed|ECONNRESET/);
    expect(await messages('controlId=LARGE-1')).toEqual([]);
    await expect
      .poll(async () => (await server.ask('GET', '/metrics')).text)
      .toMatch(/prelim_mllp_events_total\{event="too-large"\} 1/);
    const auditor = { authorization: `Bearer ${await server.issue('system/AuditEvent.rs')}` };
    const audited = (query: string) => server.ask('GET', `/fhir/AuditEvent?${query}`, undefined, auditor);
    await expect.poll(async () => (await audited('subtype=hl7-door')).body.entry?.length).toBe(1);
    // The refused one of the test before: in the log with its bytes, counted by its code, and audited with it.
    const [refused] = await messages('controlId=CANARY-2');
    expect(refused).toMatchObject({ status: 'refused', reason: 'hl7.unsupported-type' });
    expect((await server.ask('GET', '/metrics')).text).toContain(
      'prelim_hl7_refused_total{code="hl7.unsupported-type"} 1',
    );
    const audit = (await audited('subtype=hl7-in&outcome=4')).text;
    expect(audit).toContain('hl7.unsupported-type');
    expect(audit).not.toContain(CANARY);
  });

  test('alerts stand in health and metrics, and the page is served', async () => {
    const { checks } = (await server.ask('GET', '/health/ready')).body as {
      checks: { name: string; ok: boolean; detail: string }[];
    };
    expect(checks.find(({ name }) => name === 'hl7')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('silent (1)'),
    });
    const metrics = (await server.ask('GET', '/metrics')).text;
    expect(metrics).toContain('prelim_hl7_alerts{kind="silent"} 1');
    expect(metrics).toMatch(/prelim_hl7_oldest_unsent_seconds 0/);
    const page = await fetch(`${server.url}/operator/`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('HL7 operator');
  });
});
