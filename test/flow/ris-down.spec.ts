import type { DiagnosticReport } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { fieldOf } from '../peers/ris.ts';
import {
  expectExactlyOnce,
  fillerOf,
  messagesFor,
  outboxEmpty,
  read,
  reportIdOf,
  until,
} from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { analyse, tinyWorld } from './tiny-world.ts';

describe('a RIS that is away or unwilling', () => {
  const world = tinyWorld();

  const store = async (study: TestStudy) => reportIdOf(await analyse(world, study));
  const fillerOfReport = async (id: string) =>
    fillerOf(await read<DiagnosticReport>(world, `DiagnosticReport/${id}`));
  const dead = async () =>
    (await world.sql.query(`SELECT queue, reason FROM outbox WHERE state = 'dead'`)).rows;

  it('down for the whole of several analyses: when it is back each message comes once, in order for each patient', async () => {
    await world.ris.goDown();
    const [first, other] = [tinyStudy(), tinyStudy()];
    const { patientId } = first.identity;
    const studies = [first, tinyStudy({ patientId }), other, tinyStudy({ patientId })];
    const reports: string[] = [];
    for (const study of studies) reports.push(await store(study));
    expect(world.ris.messages).toEqual([]);
    await world.ris.comeBack();
    for (const study of studies) await expectExactlyOnce(world, study);
    const fillers = await Promise.all([0, 1, 3].map((n) => fillerOfReport(String(reports[n]))));
    const arrived = world.ris.messages
      .filter((message) => fieldOf(message, 'PID', 3).startsWith(`${patientId}^`))
      .map((message) => fieldOf(message, 'OBR', 3).split('^')[0]);
    expect([...new Set(arrived)]).toEqual(fillers);
    await outboxEmpty(world);
  }, 90_000);

  it('AR is a dead letter with its reason, and the next message of the patient goes on', async () => {
    const refused = tinyStudy();
    const next = tinyStudy({ patientId: refused.identity.patientId });
    world.ris.script({ do: 'reject' });
    const filler = await fillerOfReport(await store(refused));
    await until(async () => (await dead()).length > 0);
    expect(await dead()).toEqual([{ queue: 'ris-send', reason: expect.stringContaining('AR') }]);
    await store(next);
    await expectExactlyOnce(world, next);
    expect(messagesFor(world, filler)).toHaveLength(1);
    const { rows } = await world.sql.query(
      `SELECT state, encode(ack, 'escape') AS ack FROM hl7_outbound WHERE state <> 'acknowledged'`,
    );
    expect(rows).toEqual([{ state: 'rejected', ack: expect.stringContaining('MSA|AR') }]);
    await world.sql.query(`DELETE FROM outbox WHERE state = 'dead'`);
  }, 60_000);

  it.each(['error', 'close-before-ack', 'foreign-ack', 'garbage', 'split-ack'] as const)(
    'an answer of the kind "%s" loses nothing: the same bytes go until they are accepted',
    async (kind) => {
      world.ris.script({ do: kind });
      const study = tinyStudy();
      await store(study);
      await expectExactlyOnce(world, study);
      await outboxEmpty(world);
    },
    60_000,
  );
});
