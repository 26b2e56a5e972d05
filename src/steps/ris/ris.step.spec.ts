import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiagnosticReport, Resource } from '@medplum/fhirtypes';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { TLS_CLIENT, TLS_SERVER } from '../../../test/fixtures/tls-certificates.ts';
import { laneHandler } from '../../../test/hl7/lane-handler.ts';
import { fieldOf, type RisPeer, startRis } from '../../../test/peers/ris.ts';
import { GROUND } from '../../../test/queue/job-ground.ts';
import { readSettings } from '../../config/settings.ts';
import type { Database } from '../../database/database.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { acknowledgements } from '../../hl7/ack.ts';
import { MllpServer } from '../../hl7/mllp-server.ts';
import { laneJob, type OruStored } from '../../kernel/handoffs.ts';
import { claimOne } from '../../queue/claim.ts';
import { Outbox } from '../../queue/outbox.ts';
import { runJob } from '../../queue/run-job.ts';
import type { StepResult } from '../step.ts';
import { ERRORS_ANSWERED_MAX } from './default-profile.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import { RisDestinations } from './ris-destinations.ts';
import { RisMessageStep } from './ris-message.step.ts';
import { RisProfiles } from './ris-profiles.ts';
import { RETRY_MAX_MS, RisSendStep } from './ris-send.step.ts';

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
let messages: OutboundMessageStore;
let ris: RisPeer;
let destination: RisDestinations;
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };
const destinationsOf = (env: NodeJS.ProcessEnv) =>
  new RisDestinations(readSettings(env), new RisProfiles(store), SILENT);

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  messages = new OutboundMessageStore(database);
});
afterAll(() => close?.());
beforeEach(async () => {
  ris = await startRis();
  destination = destinationsOf({ RIS_URL: ris.url.href, RIS_ACK_TIMEOUT_MS: '200' });
});
afterEach(async () => {
  destination.onModuleDestroy();
  await ris.close();
});

let count = 0;
const write = (...resources: (Resource & { id: string })[]) =>
  database.transaction((tx) =>
    store.write(
      tx,
      resources.map((resource) => ({ kind: 'update', resource })),
    ),
  );
const coding = (system: string, code: string) => ({ coding: [{ system, code }] });

/** A small record of its own for each test. */
async function writeReport(): Promise<DiagnosticReport & { id: string }> {
  count += 1;
  const subject = { reference: `Patient/p${count}` };
  const report: DiagnosticReport & { id: string } = {
    resourceType: 'DiagnosticReport',
    id: `r${count}`,
    status: 'preliminary',
    code: coding('http://loinc.org', '24558-9'),
    subject,
    imagingStudy: [{ reference: `ImagingStudy/s${count}` }],
    result: [{ reference: `Observation/o${count}` }],
  };
  await write(
    {
      resourceType: 'Patient',
      id: `p${count}`,
      identifier: [{ system: 'urn:oid:1.2', value: `MRN${count}` }],
    },
    {
      resourceType: 'ImagingStudy',
      id: `s${count}`,
      status: 'available',
      subject,
      identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }],
    },
    { resourceType: 'Device', id: `d${count}`, deviceName: [{ name: 'CXR', type: 'model-name' }] },
    {
      resourceType: 'Observation',
      id: `o${count}`,
      status: 'preliminary',
      code: coding('http://snomed.info/sct', '36118008'),
      valueCodeableConcept: coding('http://snomed.info/sct', '52101004'),
      device: { reference: `Device/d${count}` },
    },
    report,
  );
  return report;
}

/** Runs what a step wants written, as the runner does. */
async function settle<T extends object>(result: StepResult<T>): Promise<T | null> {
  const next =
    result.kind === 'later'
      ? null
      : await database.transaction(async (tx) => (await result.write?.(tx)) ?? null);
  return (next as T | null) ?? (result.kind === 'done' ? result.next : null);
}
const compose = (id: string, versionId = 1, rebuildOf?: string) =>
  new RisMessageStep(store, messages, destination, new Outbox()).run({
    diagnosticReportId: id,
    versionId,
    patientId: `p${count}`,
    ...(rebuildOf ? { rebuildOf } : {}),
  });

/** Runs the job of a lane as the runner does, now. Gives how it went, and what was told of the messages. */
async function deliver(handoff: OruStored, change: (step: RisSendStep) => void = () => undefined) {
  const outbox = new Outbox();
  const request = laneJob(handoff);
  await database.transaction((tx) => outbox.add(tx, [request]));
  const [row] = await database.run<{ id: string }>(
    { text: 'UPDATE outbox SET not_before = now() WHERE key = $1 RETURNING id' },
    [handoff.lane],
  );
  const job = await claimOne(database, row!.id, GROUND.claim.runner);
  const step = new RisSendStep(database, messages, destination, outbox, SILENT);
  change(step);
  const { handler, told, results } = laneHandler(step);
  await runJob(database, handler, job!, GROUND.claim, pino({ level: 'silent' }));
  return { result: results[0]!, told };
}
const DELIVERED = { told: [{ end: 'done', why: null }] };
interface Stored extends OruStored {
  readonly messageId: string;
}
const lastIn = async (lane: string): Promise<string> => {
  const text = 'SELECT id FROM hl7_outbound WHERE lane = $1 ORDER BY message_time DESC LIMIT 1';
  return (await database.run<{ id: string }>({ text }, [lane]))[0]!.id;
};
const keep = async (result: StepResult<OruStored>): Promise<Stored> => {
  const next = await settle(result);
  expect(next).not.toBeNull();
  return { ...next!, messageId: await lastIn(next!.lane) };
};
const stored = async (): Promise<Stored> => keep(await compose((await writeReport()).id));
const rowOf = async ({ messageId }: Stored) => {
  const text =
    'SELECT state, attempts, last_error, control_id, raw, ack, acked_at FROM hl7_outbound WHERE id = $1';
  const [row] = await database.run<{
    state: string;
    attempts: number;
    last_error: string | null;
    control_id: string;
    raw: Buffer;
    ack: Buffer | null;
  }>({ text }, [messageId]);
  return row!;
};

describe('Writing the message of a report', () => {
  it('stores the bytes under a control id and hands on where they go', async () => {
    const next = await stored();
    expect(next.lane).toBe(`ris:${ris.url.host}:p${count}`);
    const row = await rowOf(next);
    expect(row).toMatchObject({ state: 'waiting', attempts: 0 });
    expect(fieldOf(row.raw, 'MSH', 10)).toBe(row.control_id);
    expect(row.control_id).toMatch(/^P\d{13,19}$/);
    expect(fieldOf(row.raw, 'OBR', 25)).toBe('P');
  });

  it('makes one message per version of a report, however often it is asked', async () => {
    const report = await writeReport();
    const [first, racing] = await Promise.all([compose(report.id), compose(report.id)]);
    const nexts = [await settle(first), await settle(racing)];
    expect(nexts.filter((next) => next !== null)).toHaveLength(1);
    expect(await compose(report.id)).toMatchObject({ kind: 'skipped' });
  });

  it('says what the record says now, with a later OBR-22 for each version', async () => {
    const report = await writeReport();
    const first = await keep(await compose(report.id));
    await write({ ...report, status: 'final' });
    const second = await keep(await compose(report.id, 1));
    expect(await compose(report.id, 2)).toMatchObject({ kind: 'skipped' });
    const [before, after] = [(await rowOf(first)).raw, (await rowOf(second)).raw];
    expect([fieldOf(before, 'OBR', 25), fieldOf(after, 'OBR', 25)]).toEqual(['P', 'F']);
    expect(fieldOf(after, 'OBR', 22) > fieldOf(before, 'OBR', 22)).toBe(true);
    expect(fieldOf(after, 'OBR', 3)).toBe(fieldOf(before, 'OBR', 3));
  });

  it('does nothing where no RIS is configured or the report is gone', async () => {
    const report = await writeReport();
    const nowhere = new RisMessageStep(store, messages, destinationsOf({}), new Outbox());
    const handoff = { diagnosticReportId: report.id, versionId: 1, patientId: 'p' };
    expect(await nowhere.run(handoff)).toMatchObject({ kind: 'skipped', why: 'no RIS configured' });
    expect(await compose('missing')).toMatchObject({ kind: 'skipped' });
  });

  it('gives up by name on a record that makes no message', async () => {
    const report = await writeReport();
    await write({ ...report, imagingStudy: [] });
    const result = await compose(report.id);
    expect(result).toMatchObject({ kind: 'given-up', why: expect.stringContaining('imaging study') });
    await settle(result);
    // Who looks after it is told what is missing, not only that something is.
    const kept = () =>
      database.run<{ id: string; state: string; last_error: string }>(
        { text: 'SELECT id, state, last_error FROM hl7_outbound WHERE report_id = $1 ORDER BY revision' },
        [report.id],
      );
    const unmade = { state: 'unmade', last_error: 'ris.not-sendable DiagnosticReport.imagingStudy' };
    expect(await kept()).toEqual([expect.objectContaining(unmade)]);
    // Rebuilt before it is complete: one dead letter takes the place of the other.
    await settle(await compose(report.id, 1, (await kept())[0]?.id));
    expect(await kept()).toMatchObject([{ state: 'superseded' }, unmade]);
  });
});

describe('Sending a stored message', () => {
  it('marks it acknowledged with the answer, and does not send it again', async () => {
    const next = await stored();
    expect(await deliver(next)).toMatchObject({ ...DELIVERED, result: { kind: 'done' } });
    expect(await rowOf(next)).toMatchObject({
      state: 'acknowledged',
      attempts: 1,
      last_error: null,
      acked_at: expect.any(Date),
    });
    expect((await rowOf(next)).ack!.toString()).toContain('MSA|AA|');
    expect(await deliver(next)).toMatchObject({ told: [], result: { kind: 'done' } });
    expect(ris.messages).toHaveLength(1);
  });

  it.each(['silence', 'close-before-ack', 'foreign-ack', 'garbage', 'error'] as const)(
    'after "%s" sends the same bytes again later',
    async (what) => {
      const next = await stored();
      ris.script({ do: what });
      const { result } = await deliver(next);
      expect(result).toMatchObject({ kind: 'later', afterMs: expect.any(Number) });
      expect(await rowOf(next)).toMatchObject({
        state: 'waiting',
        attempts: 1,
        last_error: expect.stringMatching(/^(hl7\.|AE)/),
      });
      expect(await deliver(next)).toMatchObject(DELIVERED);
      expect(ris.messages.map(String)).toEqual([
        String((await rowOf(next)).raw),
        String((await rowOf(next)).raw),
      ]);
    },
  );

  it('waits longer each time the RIS is down, within a bound, and delivers when it is back', async () => {
    const next = await stored();
    await ris.goDown();
    const waits: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const { result } = await deliver(next);
      if (result.kind === 'later') waits.push(result.afterMs);
    }
    expect(waits).toHaveLength(3);
    expect(waits[2]!).toBeGreaterThan(waits[0]!);
    expect(Math.max(...waits)).toBeLessThan(RETRY_MAX_MS * 1.2);
    await ris.comeBack();
    expect(await deliver(next)).toMatchObject(DELIVERED);
  });

  it('gives up what the RIS rejects, and what it keeps answering with an error', async () => {
    const rejected = await stored();
    ris.script({ do: 'reject' });
    const why = 'the RIS rejected the message: AR';
    expect(await deliver(rejected)).toMatchObject({
      told: [{ end: 'given-up', why }],
      result: { kind: 'done' },
    });
    const { messageId, lane } = rejected;
    expect(
      await database.run({ text: `SELECT queue, payload, attempt, reason FROM outbox WHERE state = 'dead'` }),
    ).toEqual([{ queue: 'ris-send', payload: { messageId, lane }, attempt: 1, reason: why }]);
    expect(await rowOf(rejected)).toMatchObject({ state: 'rejected', last_error: 'AR' });

    const failing = await stored();
    await database.run({ text: 'UPDATE hl7_outbound SET errors_answered = $2 WHERE id = $1' }, [
      failing.messageId,
      ERRORS_ANSWERED_MAX - 1,
    ]);
    ris.script({ do: 'error' });
    expect(await deliver(failing)).toMatchObject({ told: [{ end: 'given-up' }] });
    expect(await rowOf(failing)).toMatchObject({ state: 'given-up', last_error: 'AE' });
  });

  it('keeps to the hold of the address of today for a message that was made for an earlier one', async () => {
    const next = await stored();
    const [earlier, today] = ['moved.example:2575', destination.simple!.name];
    await database.transaction(async (tx) => {
      await tx.run({ text: 'SET LOCAL session_replication_role = replica' });
      await tx.run({ text: 'UPDATE hl7_outbound SET destination = $2 WHERE id = $1' }, [
        next.messageId,
        earlier,
      ]);
      await tx.run(
        { text: `INSERT INTO hl7_destination (destination, held_by, reason) VALUES ($1, 'a', 'b')` },
        [today],
      );
    });
    const before = ris.messages.length;
    // It does not wait for a release then.
    const stopping = (step: RisSendStep) => step.beforeApplicationShutdown();
    expect(await deliver(next, stopping)).toMatchObject({ result: { kind: 'later' } });
    expect(ris.messages).toHaveLength(before);
    await database.run({ text: 'DELETE FROM hl7_destination' });
    await deliver(next);
    expect(await rowOf(next)).toMatchObject({ state: 'acknowledged' });
  });

  it('shares one connection among messages sent at once', async () => {
    const nexts = [await stored(), await stored(), await stored()];
    const runs = await Promise.all(nexts.map((next) => deliver(next)));
    expect(runs).toMatchObject([DELIVERED, DELIVERED, DELIVERED]);
    expect(ris.connections).toBe(1);
  });
});

describe('The RIS as it is set', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prelim-ris-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const make = destinationsOf;
  const profileOf = async (made: RisDestinations) => made.simple?.profile();
  const profile = (value: unknown) =>
    file('profile.json', typeof value === 'string' ? value : JSON.stringify(value));

  it('has the profile of its file, which goes before the names in settings', async () => {
    const RIS_PROFILE = profile({ charset: '8859/1', narrative: 'FT', receivingApplication: 'FILE' });
    const names = { HL7_RECEIVING_APPLICATION: 'SETTING', HL7_SENDING_FACILITY: 'HERE' };
    const made = make({ RIS_URL: 'mllp://127.0.0.1:1', RIS_PROFILE, ...names });
    expect(await profileOf(made)).toMatchObject({
      charset: '8859/1',
      narrative: 'FT',
      receivingApplication: 'FILE',
      sendingFacility: 'HERE',
      version: '2.5.1',
    });
  });

  it('is refused at start with every fault of the profile named', () => {
    const faults = () => make({ RIS_PROFILE: profile({ charset: 'EBCDIC', colour: 'red' }) });
    expect(faults).toThrow(/2 fault\(s\): .*charset must be one of/);
  });

  it.each(['[]', 'null', '{"charset":', '"x"'])('is refused when the profile is %s', (text) => {
    const refused = expect.objectContaining({
      code: 'config.invalid',
      message: expect.stringContaining('RIS_PROFILE'),
    });
    expect(() => make({ RIS_PROFILE: profile(text) })).toThrow(refused);
  });

  it('is refused when the profile is not there, or when TLS files are given for a plain address', () => {
    const refused = expect.objectContaining({ code: 'config.invalid' });
    expect(() => make({ RIS_PROFILE: join(folder, 'none.json') })).toThrow(refused);
    const RIS_TLS_CA = file('ca.pem', TLS_SERVER.cert);
    expect(() => make({ RIS_URL: 'mllp://127.0.0.1:1', RIS_TLS_CA })).toThrow(refused);
    expect(() => make({ RIS_URL: 'mllps://127.0.0.1:1', RIS_TLS_CERT: RIS_TLS_CA })).toThrow(refused);
  });

  it('is sent to over TLS, its certificate checked, with ours when it asks for one', async () => {
    const server = new MllpServer({
      host: '127.0.0.1',
      port: 0,
      tls: { ...TLS_SERVER, ca: TLS_CLIENT.cert, requestCert: true, rejectUnauthorized: true },
      onMessage: async (bytes) =>
        acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' }),
    });
    const RIS_URL = `mllps://127.0.0.1:${await server.listen()}`;
    onTestFinished(() => server.close());
    const tls = {
      RIS_TLS_CA: file('ca.pem', TLS_SERVER.cert),
      RIS_TLS_CERT: file('cert.pem', TLS_CLIENT.cert),
      RIS_TLS_KEY: file('key.pem', TLS_CLIENT.key),
    };
    const send = (env: NodeJS.ProcessEnv) => {
      const made = make({ RIS_URL, RIS_ACK_TIMEOUT_MS: '2000', ...env });
      onTestFinished(() => made.onModuleDestroy());
      return made.simple!.send(Buffer.from('MSH|^~\\&|A|B|C|D|20260115||ORU^R01|7|P|2.5.1\r'), '7');
    };
    expect(await send(tls)).toMatchObject({ code: 'AA', controlId: '7' });
    await expect(send({})).rejects.toMatchObject({ code: 'hl7.connection' });
    await expect(send({ RIS_TLS_CA: tls.RIS_TLS_CA })).rejects.toMatchObject({ code: 'hl7.connection' });
  });

  it('takes new TLS files without a restart, and keeps the old ones while the new ones are wrong', async () => {
    const server = new MllpServer({
      host: '127.0.0.1',
      port: 0,
      tls: { ...TLS_SERVER, ca: TLS_CLIENT.cert, requestCert: true, rejectUnauthorized: true },
      onMessage: async (bytes) =>
        acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' }),
    });
    const RIS_URL = `mllps://127.0.0.1:${await server.listen()}`;
    onTestFinished(() => server.close());
    const RIS_TLS_CERT = file('renewed.pem', TLS_SERVER.cert);
    const RIS_TLS_KEY = file('renewed-key.pem', TLS_SERVER.key);
    const RIS_TLS_CA = file('renewed-ca.pem', TLS_SERVER.cert);
    const made = make({ RIS_URL, RIS_ACK_TIMEOUT_MS: '2000', RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY });
    made.onApplicationBootstrap();
    onTestFinished(() => made.onModuleDestroy());
    const send = () => made.simple!.send(Buffer.from('MSH|^~\\&|A|B|C|D|20260115||ORU^R01|7|P|2.5.1\r'), '7');
    await expect(send()).rejects.toMatchObject({ code: 'hl7.connection' });
    file('renewed.pem', TLS_CLIENT.cert);
    file('renewed-key.pem', TLS_CLIENT.key);
    process.emit('SIGHUP');
    expect(await send()).toMatchObject({ code: 'AA' });
    file('renewed-key.pem', TLS_SERVER.key);
    process.emit('SIGHUP');
    expect(await send()).toMatchObject({ code: 'AA' });
    expect(server.connectionCount).toBe(1);
  });
});
