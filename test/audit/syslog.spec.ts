import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { SaxesParser } from 'saxes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SyslogExport } from '../../src/access/export-syslog.ts';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { type SyslogCollector, startSyslogCollector } from '../peers/syslog-collector.ts';
import { type AuditApp, auditApp } from './audit-app.ts';

describe('the audit as syslog over TLS', () => {
  let app: AuditApp;
  let collector: SyslogCollector;
  let syslog: SyslogExport | null = null;
  const begin = (format: 'dicom' | 'fhir', cert: object = TLS_CLIENT) => {
    const tls = { ca: TLS_SERVER.cert, ...cert };
    const target = { host: '127.0.0.1', port: collector.port, tls, format };
    syslog = new SyslogExport(app.database, target, pino({ level: 'silent' }), 300);
    syslog.start();
    return syslog;
  };
  beforeEach(async () => {
    app = await auditApp();
    collector = await startSyslogCollector();
    await app.send('PUT', 'Patient/p1', { resourceType: 'Patient', id: 'p1' });
  });
  afterEach(async () => {
    await syslog?.stop();
    await collector.close();
    await app.close();
  });
  const until = async (met: () => boolean, ms = 15_000) => {
    for (const end = Date.now() + ms; !met(); await sleep(20))
      if (Date.now() > end) throw new Error('not in time');
  };
  const idsOf = (messages: readonly string[]) =>
    messages.map((message) => /\[prelim@32473 event="([0-9-]+)"\]/.exec(message)?.[1] ?? '');

  it('is RFC 5424 with the XML of a DICOM audit message', async () => {
    await app.send('GET', `Patient/p1?x=<&">`, undefined, {
      'x-grant': JSON.stringify({
        clientId: '<ehr&"\u0001',
        subject: 's',
        scopes: [{ context: 'system', type: '*', permissions: ['r'] }],
        roles: [],
      }),
    });
    begin('dicom');
    await until(
      () =>
        collector.messages.some((one) => one.includes('110120')) &&
        collector.messages.some((one) => one.includes('&#60;ehr')),
    );
    for (const message of collector.messages) {
      const match =
        /^<(84|85)>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ prelim \d+ DICOM\+RFC3881 \[prelim@32473 event="[\d-]+"\] \uFEFF(<\?xml .*)$/s.exec(
          message,
        );
      expect(match, message).not.toBeNull();
      const names: string[] = [];
      const parser = new SaxesParser();
      parser.on('error', (error) => {
        throw error;
      });
      parser.on('opentag', ({ name }) => names.push(name));
      parser.write(match?.[2] ?? '').close();
      expect(names[0]).toBe('AuditMessage');
      expect(names).toContain('EventIdentification');
      expect(names.filter((name) => name === 'ActiveParticipant').length).toBeGreaterThan(1);
    }
    const read = collector.messages.find((one) => one.includes('&#60;ehr')) ?? '';
    expect(read).toContain('EventActionCode="R"');
    expect(read).toContain(
      'ParticipantObjectID="Patient/p1" ParticipantObjectTypeCode="1" ParticipantObjectTypeCodeRole="1"',
    );
  });

  it('or the AuditEvent as JSON', async () => {
    begin('fhir');
    await until(() => collector.messages.length > 0);
    const [, json = ''] = (collector.messages[0] ?? '').split('\uFEFF');
    expect(JSON.parse(json)).toMatchObject({
      resourceType: 'AuditEvent',
      source: { observer: { display: 'Prelim' } },
    });
  });

  it('sends none to a repository that does not know us, and waits for one that is away: nothing is lost', async () => {
    begin('fhir', {});
    await sleep(700);
    expect(collector.messages).toEqual([]);
    await syslog?.stop();

    begin('fhir');
    await until(() => collector.messages.length >= 3);
    collector.cut(true);
    for (let n = 0; n < 30; n++) await app.send('GET', 'Patient/p1');
    await sleep(300);
    const before = collector.messages.length;
    collector.admit();
    const [row] = await app.database.run<{ n: string }>({ text: 'SELECT count(*) AS n FROM audit_event' });
    expect(Number(row?.n)).toBeGreaterThan(30);
    const all = async () => {
      const rows = await app.database.run<{ id: string }>({
        text: `SELECT segment || '-' || seq AS id FROM audit_event`,
      });
      const there = new Set(idsOf(collector.messages).map((id) => id.split('-').slice(0, 2).join('-')));
      return rows.every(({ id }) => there.has(id));
    };
    for (const end = Date.now() + 20_000; !(await all()); await sleep(100))
      if (Date.now() > end) throw new Error('lost');
    expect(collector.messages.length).toBeGreaterThan(before);
  }, 40_000);

  it('goes on where it was after a new start, once it was sure', async () => {
    const first = begin('fhir');
    await until(() => collector.messages.length >= 3);
    await sleep(1_200);
    await first.stop();
    const count = collector.messages.length;
    await app.send('GET', 'Patient/p1');
    begin('fhir');
    await until(() => collector.messages.length > count);
    await sleep(600);
    expect(new Set(idsOf(collector.messages)).size).toBe(collector.messages.length);
  });

  it('passes a hole that a rolled-back transaction has left', async () => {
    await app.database
      .transaction(async (tx) => {
        await app.store.write(tx, [{ kind: 'create', resource: { resourceType: 'Patient' } }]);
        await tx.run({ text: 'SELECT 1' });
        throw new Error('no');
      })
      .catch(() => undefined);
    await app.send('GET', 'Patient/p1');
    begin('fhir');
    await until(() => collector.messages.some((one) => one.includes('"read"')));
  });
});
