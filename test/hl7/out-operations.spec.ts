import type { DiagnosticReport, ImagingStudy } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { fillerOf, messagesFor, outboxEmpty, read, until } from '../flow/flow-world.ts';
import { tinyWorld, written } from '../flow/tiny-world.ts';
import { fieldOf } from '../peers/ris.ts';

interface Kept {
  readonly id: string;
  readonly control_id: string;
  readonly lane: string;
  readonly state: string;
  readonly revision: number;
}

describe('What an operator does to results on their way out, at a RIS that answers', () => {
  const world = tinyWorld({ settings: { RIS_ACK_TIMEOUT_MS: '2000' } });
  const kept = async (report: DiagnosticReport): Promise<Kept[]> =>
    (
      await world.sql.query<Kept>(
        'SELECT id, control_id, lane, state, revision FROM hl7_outbound WHERE report_id = $1 ORDER BY message_time',
        [report.id],
      )
    ).rows;
  const inState = async (report: DiagnosticReport, ...states: readonly string[]): Promise<Kept[]> => {
    await until(
      async () => JSON.stringify((await kept(report)).map(({ state }) => state)) === JSON.stringify(states),
    );
    return kept(report);
  };
  const at = (report: DiagnosticReport) => messagesFor(world, fillerOf(report));
  const ask = async (path: string, body: object, status = 200) => {
    const answer = await world.server.ask('POST', path, JSON.stringify(body), {
      'content-type': 'application/json',
    });
    expect([answer.status, answer.text.slice(0, 300)]).toEqual([status, expect.any(String)]);
    return answer;
  };
  const act = (id: string, action: string, status = 200) =>
    ask(`/hl7/messages/out/${id}/${action}`, { reason: 'a test' }, status);
  /** Of the RIS: one lane, or all. */
  const hold = (lane?: string, path = '/hl7/holds') =>
    ask(path, { destination: world.ris.url.host, lane, reason: 'a test' });
  const release = (lane?: string) => hold(lane, '/hl7/holds/release');
  /** Its first message is answered AR. */
  const rejected = async (): Promise<DiagnosticReport> => {
    world.ris.script({ do: 'reject' });
    const report = await written(world);
    await inState(report, 'rejected');
    return report;
  };
  const finalise = async (report: DiagnosticReport) =>
    expect(
      (await world.server.ask('PUT', `/fhir/DiagnosticReport/${report.id}`, { ...report, status: 'final' }))
        .status,
    ).toBe(200);

  it('resends the same bytes under the same control id, and rebuilds a new version under a new one', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    expect((await world.server.ask('GET', '/hl7/dead')).body.groups).toEqual([
      expect.objectContaining({ reason: 'AR', messages: 1 }),
    ]);
    await act(dead!.id, 'resend');
    await inState(report, 'acknowledged');
    await outboxEmpty(world);
    const [first, again] = at(report);
    expect(at(report)).toHaveLength(2);
    expect(again!.equals(first!)).toBe(true);
    expect((await world.server.ask('GET', '/hl7/dead')).body.groups).toEqual([]);

    await act(dead!.id, 'rebuild');
    const [, rebuilt] = await inState(report, 'acknowledged', 'acknowledged');
    await outboxEmpty(world);
    expect(rebuilt).toMatchObject({ revision: 2, lane: dead!.lane });
    const anew = at(report)[2]!;
    expect(fieldOf(anew, 'MSH', 10)).toBe(rebuilt!.control_id);
    expect(rebuilt!.control_id).not.toBe(dead!.control_id);
    expect(fieldOf(anew, 'OBR', 22) > fieldOf(first!, 'OBR', 22)).toBe(true);
    // The older bytes would overwrite the newer: not without saying so.
    expect((await act(dead!.id, 'resend', 409)).text).toContain('ris.newer-sent');
    expect(at(report)).toHaveLength(3);
    const { body } = await world.server.ask('GET', `/hl7/messages/out/${dead!.id}`);
    expect(body.tries.map((one: { outcome: string }) => one.outcome)).toEqual(['AR', 'AA']);
    expect(body.actions.map((one: { action: string }) => one.action).sort()).toEqual(['rebuild', 'resend']);
  }, 60_000);

  it('does not send old bytes behind a newer message that still waits, unless told so', async () => {
    const report = await written(world);
    const [old] = await inState(report, 'acknowledged');
    await hold(old!.lane);
    await finalise(report);
    await inState(report, 'acknowledged', 'waiting');
    expect((await act(old!.id, 'resend', 409)).text).toContain('ris.newer-sent');
    await release(old!.lane);
    await inState(report, 'acknowledged', 'acknowledged');
    expect(at(report)).toHaveLength(2);
  }, 60_000);

  it('puts a dead letter back in its place, before a newer message that waits', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    await hold(dead!.lane);
    await finalise(report);
    const [, newer] = await inState(report, 'rejected', 'waiting');
    await act(dead!.id, 'resend');
    await inState(report, 'waiting', 'waiting');
    await release(dead!.lane);
    await inState(report, 'acknowledged', 'acknowledged');
    await outboxEmpty(world);
    const ids = [dead, dead, newer].map((message) => message!.control_id);
    expect(at(report).map((message) => fieldOf(message, 'MSH', 10))).toEqual(ids);
  }, 60_000);

  it('does not send a dead letter behind a newer message that has just left, unless told so', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    world.ris.script({ do: 'silence' });
    await finalise(report);
    await expect.poll(() => at(report).length, { timeout: 20_000, interval: 5 }).toBe(2);
    const newer = await world.sql.query(
      `SELECT attempts FROM hl7_outbound WHERE report_id = $1 AND state = 'waiting'`,
      [report.id],
    );
    expect(newer.rows).toEqual([{ attempts: 0 }]);
    expect((await act(dead!.id, 'resend', 409)).text).toContain('ris.newer-sent');
    await inState(report, 'rejected', 'acknowledged');
    await act(dead!.id, 'discard');
    await outboxEmpty(world);
  }, 60_000);

  it('discards a dead letter for good, and a message that waits: what is behind it in its lane goes', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    await act(dead!.id, 'discard');
    await inState(report, 'discarded');
    expect((await act(dead!.id, 'discard', 409)).text).toContain('ris.in-flight');
    await hold(dead!.lane);
    await finalise(report);
    const [, waiting] = await inState(report, 'discarded', 'waiting');
    await finalise({ ...report, conclusion: `${report.conclusion} Seen.` });
    await inState(report, 'discarded', 'waiting', 'waiting');
    await act(waiting!.id, 'discard');
    await release(dead!.lane);
    const [, , last] = await inState(report, 'discarded', 'discarded', 'acknowledged');
    await outboxEmpty(world);
    expect(at(report).map((message) => fieldOf(message, 'MSH', 10))).toEqual([
      dead!.control_id,
      last!.control_id,
    ]);
  }, 60_000);

  it('rebuilds a dead letter, which then is none any more', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    await act(dead!.id, 'rebuild');
    await inState(report, 'superseded', 'acknowledged');
    await outboxEmpty(world);
    expect((await world.server.ask('GET', '/hl7/dead')).body.groups).toEqual([]);
  }, 60_000);

  it('tells of the end of a result that the RIS has, also when it was sent again and refused; a take-back that was rebuilt is no dead letter', async () => {
    const report = await written(world);
    const [told] = await inState(report, 'acknowledged');
    world.ris.script({ do: 'reject' });
    await act(told!.id, 'resend');
    await inState(report, 'rejected');
    world.ris.script({ do: 'reject' });
    expect((await world.server.ask('DELETE', `/fhir/DiagnosticReport/${report.id}`)).status).toBe(204);
    const [, refused] = await inState(report, 'rejected', 'rejected');
    expect(fieldOf(at(report).at(-1)!, 'OBR', 25)).toBe('X');
    await act(refused!.id, 'rebuild');
    await inState(report, 'rejected', 'superseded', 'acknowledged');
    expect(fieldOf(at(report).at(-1)!, 'OBR', 25)).toBe('X');
    await act(told!.id, 'discard');
    await outboxEmpty(world);
    expect((await world.server.ask('GET', '/hl7/dead')).body.groups).toEqual([]);
  }, 60_000);

  it('counts first, then resends exactly what was counted, once', async () => {
    const reports = [await rejected(), await rejected()];
    const filter = { status: 'rejected', destination: world.ris.url.host };
    const counted = (await ask('/hl7/bulk/count', { direction: 'out', action: 'resend', filter })).body;
    expect(counted).toMatchObject({ count: 2, more: false });
    expect(reports.flatMap(at)).toHaveLength(2);
    const late = await rejected();
    const token = { token: counted.token, reason: 'a test' };
    expect((await ask('/hl7/bulk', token)).body).toEqual({ done: 2, skipped: {} });
    for (const report of reports) await inState(report, 'acknowledged');
    for (const report of reports) {
      const [first, again, ...more] = at(report);
      expect(more).toEqual([]);
      expect(again!.equals(first!)).toBe(true);
    }
    expect(at(late)).toHaveLength(1);
    expect((await ask('/hl7/bulk', token, 409)).text).toContain('hl7.selection');
    await act((await kept(late))[0]!.id, 'discard');
    await outboxEmpty(world);
  }, 60_000);

  it('holds a destination, then only a lane; when it is released all leaves in order, and a lane can be replayed', async () => {
    await hold();
    const report = await written(world);
    const [waiting] = await inState(report, 'waiting');
    await hold(waiting!.lane);
    await finalise(report);
    await inState(report, 'waiting', 'waiting');
    await release();
    const other = await written(world);
    await inState(other, 'acknowledged');
    expect(at(report)).toEqual([]);
    const lanes = (await world.server.ask('GET', '/hl7/lanes')).body.lanes;
    expect(lanes).toEqual([
      expect.objectContaining({
        lane: waiting!.lane,
        waiting: 2,
        held: expect.objectContaining({ reason: 'a test' }),
      }),
    ]);
    expect(lanes[0].head).toMatchObject({ id: waiting!.id, attempts: 0 });
    await release(waiting!.lane);
    await inState(report, 'acknowledged', 'acknowledged');
    await outboxEmpty(world);
    expect(at(report).map((message) => fieldOf(message, 'OBR', 25))).toEqual(['P', 'F']);

    const more = { ...report, conclusion: `${report.conclusion} Seen.` };
    await finalise(more);
    await inState(report, 'acknowledged', 'acknowledged', 'acknowledged');
    const filter = { lane: waiting!.lane, destination: world.ris.url.host };
    const counted = (await ask('/hl7/bulk/count', { direction: 'out', action: 'resend', filter })).body;
    // Of one report the newest says all: older bytes are passed over.
    expect((await ask('/hl7/bulk', { token: counted.token, reason: 'lost there' })).body).toEqual({
      done: 1,
      skipped: { 'ris.newer-sent': 2 },
    });
    await until(() => at(report).length === 4);
    await outboxEmpty(world);
    expect(at(report)[3]!.equals(at(report)[2]!)).toBe(true);
  }, 60_000);

  it('a dead letter that is preliminary does not follow a final report of somebody else, unless told so', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    const study = await read<ImagingStudy>(world, String(report.imagingStudy?.[0]?.reference));
    const final = {
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { text: 'CT chest' },
      subject: report.subject,
      identifier: study.identifier,
    };
    expect((await world.server.ask('POST', '/fhir/DiagnosticReport', final)).status).toBe(201);
    expect((await act(dead!.id, 'resend', 409)).text).toContain('ris.final-seen');
    const job = (
      await world.sql.query(`SELECT id FROM outbox WHERE state = 'dead' AND payload ->> 'messageId' = $1`, [
        dead!.id,
      ])
    ).rows[0].id;
    const replay = await world.server.ask('POST', `/jobs/${job}/replay`);
    expect([replay.status, replay.text]).toEqual([409, expect.stringContaining('ris.final-seen')]);
    expect(at(report)).toHaveLength(1);
    await ask(`/hl7/messages/out/${dead!.id}/resend`, { reason: 'they asked for it', overNewer: true });
    await inState(report, 'acknowledged');
    expect(at(report)).toHaveLength(2);
  }, 60_000);

  /** The log refuses to be changed: only a replica's session may. */
  const setMessage = (id: string, change: string) =>
    world.sql.query(`SET session_replication_role = replica; UPDATE hl7_outbound SET ${change} WHERE id = '${id}';
      SET session_replication_role = DEFAULT`);

  it('of a message whose bytes retention has dropped nothing is sent, and a person is asked to take it back', async () => {
    const report = await written(world);
    const [large] = await inState(report, 'acknowledged');
    await setMessage(large!.id, `raw = '', raw_dropped_at = now()`);
    expect((await act(large!.id, 'resend', 409)).text).toContain('ris.bytes-dropped');
    expect((await world.server.ask('DELETE', `/fhir/DiagnosticReport/${report.id}`)).status).toBe(204);
    const [, unmade] = await inState(report, 'acknowledged', 'unmade');
    await outboxEmpty(world);
    expect(at(report)).toHaveLength(1);
    expect((await world.server.ask('GET', '/hl7/dead')).body.groups).toEqual([
      expect.objectContaining({ reason: 'ris.bytes-dropped', messages: 1 }),
    ]);
    await act(unmade!.id, 'discard');
  }, 60_000);

  it('rebuilds a message that was made for an earlier address of the RIS for the one of today', async () => {
    const report = await rejected();
    const [dead] = await kept(report);
    await setMessage(
      dead!.id,
      `destination = 'moved.example:2575', message_time = message_time - interval '1 minute'`,
    );
    await act(dead!.id, 'rebuild');
    const [, rebuilt] = await inState(report, 'superseded', 'acknowledged');
    expect(at(report)).toHaveLength(2);
    expect(fieldOf(at(report)[1]!, 'MSH', 10)).toBe(rebuilt!.control_id);
  }, 60_000);
});
