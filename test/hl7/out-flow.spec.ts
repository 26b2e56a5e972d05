import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiagnosticReport, Parameters } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type FlowWorld,
  fillerOf,
  makeWorld,
  messagesFor,
  outboxEmpty,
  read,
  until,
} from '../flow/flow-world.ts';
import { makeTinyModel } from '../flow/tiny-model.ts';
import { written } from '../flow/tiny-world.ts';
import { fieldOf, type RisPeer, startRis } from '../peers/ris.ts';

const PROFILE_URL = 'https://prelim.example/fhir/StructureDefinition/ris-profile';
const profileBasic = (name: string, profile: unknown) => ({
  resourceType: 'Basic',
  id: `ris-profile-${name}`,
  code: {
    coding: [{ system: 'https://prelim.example/fhir/CodeSystem/basic-resource', code: 'ris-profile' }],
  },
  extension: [{ url: PROFILE_URL, valueString: JSON.stringify(profile) }],
});

describe('Results to two receivers', () => {
  let world: FlowWorld;
  let second: RisPeer;
  let third: RisPeer;
  let file = '';
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    model = await makeTinyModel();
    second = await startRis();
    third = await startRis();
    file = join(mkdtempSync(join(tmpdir(), 'prelim-out-')), 'destinations.yaml');
    writeFileSync(
      file,
      `destinations:\n  - { name: old, url: "${second.url.href}", profile: legacy-text-2.3.1 }\n`,
    );
    world = await makeWorld({
      settings: { PRELIM_MODELS: model.folder, RIS_DESTINATIONS: file, RIS_ACK_TIMEOUT_MS: '2000' },
    });
  });
  afterAll(async () => {
    await world?.close();
    await second?.close();
    await third?.close();
    await model?.remove();
  });

  const at = (peer: RisPeer, report: DiagnosticReport) =>
    peer.messages.filter((message) => fieldOf(message, 'OBR', 3).split('^')[0] === fillerOf(report));
  const put = (body: { resourceType: string; id?: string; status?: string }) =>
    world.server.ask('PUT', `/fhir/${body.resourceType}/${body.id}`, body);

  it('each gets its own layout, and one that is away does not keep the other waiting', async () => {
    await second.goDown();
    const report = await written(world);
    await until(() => messagesFor(world, fillerOf(report)).length === 1);
    expect((await put({ ...report, status: 'final' })).status).toBe(200);
    await until(() => messagesFor(world, fillerOf(report)).length === 2);
    expect(at(second, report)).toHaveLength(0);
    await second.comeBack();
    await outboxEmpty(world, 40_000);
    expect(at(second, report).map((message) => fieldOf(message, 'MSH', 12))).toEqual(['2.3.1', '2.3.1']);
    expect(at(second, report).map((message) => fieldOf(message, 'OBR', 25))).toEqual(['P', 'F']);
    expect(messagesFor(world, fillerOf(report)).map((message) => fieldOf(message, 'MSH', 12))).toEqual([
      '2.5.1',
      '2.5.1',
    ]);
    const { rows } = await world.sql.query(
      `SELECT a.outcome FROM hl7_attempt a JOIN hl7_outbound m ON m.id = a.message_id WHERE m.destination = 'old' AND m.report_id = $1`,
      [report.id],
    );
    expect(rows.map((row) => row.outcome)).toEqual(expect.arrayContaining(['connection', 'AA']));
  }, 90_000);

  it('a profile changed over FHIR holds from the next message on, and a bad one is refused with all faults', async () => {
    const bad = await put(profileBasic('old', { charset: 'EBCDIC', colour: 'red' }));
    expect(bad.status).toBe(400);
    expect(bad.body.issue).toHaveLength(2);
    expect(bad.text).not.toContain('EBCDIC');
    expect(
      (await put(profileBasic('legacy-text-2.3.1', { version: '2.4', preliminaryStatus: 'R' }))).status,
    ).toBe(201);
    const report = await written(world);
    await until(() => at(second, report).length === 1);
    const [message] = at(second, report);
    expect([fieldOf(message!, 'MSH', 12), fieldOf(message!, 'OBR', 25)]).toEqual(['2.4', 'R']);
    await world.server.ask('DELETE', '/fhir/Basic/ris-profile-legacy-text-2.3.1');
    const next = await written(world);
    await until(() => at(second, next).length === 1);
    expect(fieldOf(at(second, next)[0]!, 'MSH', 12)).toBe('2.3.1');
    await outboxEmpty(world);
  }, 90_000);

  it('a dry run shows the message and how two profiles differ, sends nothing, and needs the right to read', async () => {
    const report = await written(world);
    await outboxEmpty(world);
    const before = [world.ris.messages.length, second.messages.length];
    const path = `/fhir/DiagnosticReport/${report.id}/$oru`;
    const answer = await world.server.ask('GET', `${path}?profile=ris&against=legacy-text-2.3.1`);
    expect(answer.status).toBe(200);
    const { parameter = [] } = answer.body as Parameters;
    const text = parameter.find(({ name }) => name === 'message')?.valueString ?? '';
    expect(text).toContain(`|${fillerOf(report)}^PRELIM|`);
    const places = parameter
      .filter(({ name }) => name === 'difference')
      .map(({ part }) => part?.find(({ name }) => name === 'at')?.valueString);
    expect(places).toContain('MSH-12');
    // Both are of one moment and of one site.
    for (const same of ['MSH-3', 'MSH-10']) expect(places).not.toContain(same);
    expect((await world.server.ask('GET', `${path}?destination=old`)).status).toBe(200);
    expect((await world.server.ask('GET', path)).status).toBe(404);
    expect((await world.server.ask('GET', `${path}?profile=none`)).status).toBe(404);
    const narrow = await world.server.issue('system/DiagnosticReport.r');
    const refused = await world.server.ask('GET', `${path}?profile=ris`, undefined, {
      authorization: `Bearer ${narrow}`,
    });
    expect(refused.status).toBe(403);
    expect([world.ris.messages.length, second.messages.length]).toEqual(before);
  }, 60_000);

  it('a held destination waits without using up tries, and goes on when it is released', async () => {
    await world.sql.query(`INSERT INTO hl7_destination (destination, held_by) VALUES ('old', 'test')`);
    const report = await written(world);
    await until(() => messagesFor(world, fillerOf(report)).length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(at(second, report)).toHaveLength(0);
    const { rows } = await world.sql.query(
      `SELECT attempts, state FROM hl7_outbound WHERE destination = 'old' AND report_id = $1`,
      [report.id],
    );
    expect(rows).toEqual([{ attempts: 0, state: 'waiting' }]);
    await world.sql.query(`DELETE FROM hl7_destination`);
    await until(() => at(second, report).length === 1);
    await outboxEmpty(world);
  }, 60_000);

  it("the radiologist's final stops a preliminary of ours that waits", async () => {
    await world.ris.goDown();
    await second.goDown();
    const report = await written(world);
    const waiting = async (state: string) =>
      (
        await world.sql.query(`SELECT 1 FROM hl7_outbound WHERE report_id = $1 AND state = $2`, [
          report.id,
          state,
        ])
      ).rows.length;
    await until(async () => (await waiting('waiting')) === 2);
    const study = await read<{ identifier?: object[] }>(world, String(report.imagingStudy?.[0]?.reference));
    const final = {
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { text: 'CT chest, read' },
      subject: report.subject,
      identifier: study.identifier,
    };
    expect((await world.server.ask('POST', '/fhir/DiagnosticReport', final)).status).toBe(201);
    expect(await waiting('stopped')).toBe(2);
    await world.ris.comeBack();
    await second.comeBack();
    await outboxEmpty(world, 40_000);
    expect(messagesFor(world, fillerOf(report))).toHaveLength(0);
    expect(at(second, report)).toHaveLength(0);
  }, 90_000);

  it('killed between sending and the answer, it sends the same bytes again and keeps the order', async () => {
    const report = await written(world);
    await outboxEmpty(world);
    world.ris.script({ do: 'silence' });
    const already = messagesFor(world, fillerOf(report)).length;
    expect((await put({ ...report, status: 'final' })).status).toBe(200);
    await until(() => messagesFor(world, fillerOf(report)).length === already + 1);
    await world.server.kill('SIGKILL');
    appendFileSync(file, `  - { name: new, url: "${third.url.href}", filter: { modality: [DX] } }\n`);
    await world.server.start();
    await until(() => messagesFor(world, fillerOf(report)).length === already + 2, 30_000);
    const sent = messagesFor(world, fillerOf(report)).slice(already);
    expect(sent[0]?.equals(sent[1] ?? Buffer.alloc(0))).toBe(true);
    await outboxEmpty(world, 40_000);
    expect(messagesFor(world, fillerOf(report)).map((message) => fieldOf(message, 'OBR', 25))).toEqual([
      ...Array.from({ length: already }, () => 'P'),
      'F',
      'F',
    ]);
    const { rows } = await world.sql.query(
      `SELECT m.attempts, count(a.id)::int AS answered FROM hl7_outbound m LEFT JOIN hl7_attempt a ON a.message_id = m.id
        WHERE m.report_id = $1 AND m.report_version = 2 AND m.destination <> 'old' GROUP BY m.id`,
      [report.id],
    );
    expect(rows).toEqual([{ attempts: 2, answered: 1 }]);
  }, 120_000);

  // The receiver that the last start has brought.
  it('what one receiver has is sent to another that is new: counted first, each report once, as it stands, in order, and never twice', async () => {
    const latest = await written(world);
    await outboxEmpty(world);
    const had = third.messages.length;
    expect(at(third, latest)).toHaveLength(1);
    const ask = async (path: string, body: object) =>
      (
        await world.server.ask('POST', path, JSON.stringify(body), {
          'content-type': 'application/json',
        })
      ).body;
    const sendAll = async () => {
      const asked = {
        direction: 'out',
        action: 'send-to',
        destination: 'new',
        filter: { destination: 'old' },
      };
      const { count, more, token } = await ask('/hl7/bulk/count', asked);
      expect(more).toBe(false);
      const end = await ask('/hl7/bulk', { token, reason: 'the new RIS starts with what the old one has' });
      await outboxEmpty(world, 40_000);
      expect(end).toEqual({ done: count, skipped: {} });
      return Number(count);
    };
    const { rows: reports } = await world.sql.query(
      `SELECT report_id, array_agg(DISTINCT state) AS states FROM hl7_outbound WHERE destination = 'old' GROUP BY report_id`,
    );
    const told = reports.filter(({ states }) => states.includes('acknowledged'));
    const known = told.length;
    expect(await sendAll()).toBeGreaterThan(reports.length);
    // Each report that somebody was told of, once, and not those whose preliminary was stopped by a final report.
    expect(third.messages.length).toBe(known);
    expect(known).toBeGreaterThan(had);
    const first = await read<DiagnosticReport>(world, `DiagnosticReport/${told[0]?.report_id}`);
    for (const report of [first, latest]) {
      const [sent, ...more] = at(third, report);
      expect(more).toEqual([]);
      expect(fieldOf(sent!, 'OBR', 25)).toBe(report.status === 'final' ? 'F' : 'P');
      expect(fieldOf(sent!, 'MSH', 12)).toBe('2.5.1');
    }
    await sendAll();
    expect(third.messages.length).toBe(known);
    const { rows: deeds } = await world.sql.query(
      `SELECT DISTINCT action, detail ->> 'to' AS to FROM hl7_action WHERE action LIKE '%send-to' ORDER BY 1`,
    );
    expect(deeds).toEqual([
      { action: 'bulk-send-to', to: null },
      { action: 'send-to', to: 'new' },
    ]);
  }, 90_000);
});
