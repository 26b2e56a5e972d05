import { describe, expect, test } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import { AlertWatch } from '../../src/steps/message-log/alert-watch.ts';
import { RetentionStore } from '../../src/steps/message-log/retention.store.ts';
import { Retention } from '../../src/steps/message-log/retention.ts';
import { logInbound, logOutbound, ORDER, PRIVILEGED_SCOPE } from './operator-server.ts';
import { operatorWorld } from './operator-world.ts';

const DAY_MINUTES = 24 * 60;
const MIB = 1024 * 1024;

describe('retention and alerts of the HL7 side', () => {
  const world = operatorWorld({
    RIS_URL: 'mllp://ris.example:2576',
    HL7_ALERT_SILENT: 'ADT:HOSPITAL=60',
    HL7_ALERT_UNSENT_S: '600',
    HL7_ALERT_ERROR_PERCENT: '20',
  });

  const retention = (settings: Record<string, string> = {}) =>
    new Retention(new RetentionStore(world.database), readSettings({ ...settings }), {
      info: () => undefined,
      warn: () => undefined,
    });
  const left = async () =>
    (
      await world.database.run<{ id: string }>({
        text: 'SELECT control_id AS id FROM hl7_inbound ORDER BY control_id',
      })
    ).map(({ id }) => id);

  describe('retention', () => {
    test('deletes by age and type what has ended, and never what waits or needs a person', async () => {
      const old = 500 * DAY_MINUTES;
      await logInbound(world.database, { controlId: 'order-old', minutesAgo: old });
      await logInbound(world.database, {
        controlId: 'adt-100',
        type: 'ADT^A08',
        minutesAgo: 100 * DAY_MINUTES,
      });
      await logInbound(world.database, {
        controlId: 'adt-50',
        type: 'ADT^A08',
        minutesAgo: 50 * DAY_MINUTES,
      });
      await logInbound(world.database, { controlId: 'oru-old', type: 'ORU^R01', minutesAgo: old });
      await logInbound(world.database, {
        controlId: 'refused-old',
        filing: 'refused',
        outcome: 'hl7.missing',
        minutesAgo: old,
      });
      await logInbound(world.database, { controlId: 'waits', filing: null, minutesAgo: old });
      await logInbound(world.database, {
        controlId: 'held',
        filing: 'fhir.multiple-matches',
        minutesAgo: old,
      });
      for (const state of [
        'acknowledged',
        'superseded',
        'stopped',
        'discarded',
        'waiting',
        'rejected',
        'given-up',
        'dead',
        'unmade',
      ])
        await logOutbound(world.database, {
          state,
          minutesAgo: old,
          attempts: 1,
          error: 'AR',
          report: state,
        });
      const done = await retention({ HL7_KEPT_DAYS_BY_TYPE: 'ADT=90,ORU=3650' }).round();
      expect(await left()).toEqual(['adt-50', 'held', 'oru-old', 'waits']);
      expect(done.deleted).toBe(3);
      const all = await retention().round();
      expect(all.deleted).toBe(5);
      const states = await world.database.run<{ state: string }>({
        text: 'SELECT state FROM hl7_outbound ORDER BY state',
      });
      expect(states.map(({ state }) => state)).toEqual(['dead', 'given-up', 'rejected', 'unmade', 'waiting']);
      // The tries of what is gone are gone, the others stay.
      expect(await world.database.run({ text: 'SELECT 1 FROM hl7_attempt' })).toHaveLength(5);
    });

    test('goes in steps of bounded size until all is gone', async () => {
      await world.database.run({
        text: `INSERT INTO hl7_inbound (sending_application, sending_facility, control_id, content_sha256, raw, outcome, message_type, filing_outcome, received_at)
          SELECT 'A', 'B', n::text, sha256(n::text::bytea), 'MSH', 'accept', 'ADT^A08', 'filed', now() - interval '2 years' FROM generate_series(1, 1300) n`,
      });
      const store = new RetentionStore(world.database);
      expect(await store.deleteEnded('hl7_inbound', 'ADT^A08', 400)).toBe(500);
      expect((await retention().round()).deleted).toBe(800);
      expect(await left()).toEqual([]);
    });

    test('drops the bytes of large messages before the rest, which still says what it was', async () => {
      const large = ORDER.replace('ZZZ|', `OBX|1|ED|PDF||^^^Base64^${'A'.repeat(200_000)}\rZZZ|`);
      const id = await logInbound(world.database, {
        controlId: 'CTRL1',
        raw: large,
        minutesAgo: 100 * DAY_MINUTES,
      });
      await logInbound(world.database, { controlId: 'small', minutesAgo: 100 * DAY_MINUTES });
      const open = await logInbound(world.database, {
        controlId: 'open',
        raw: large,
        filing: null,
        minutesAgo: 100 * DAY_MINUTES,
      });
      expect(await retention().round()).toMatchObject({ dropped: 1, deleted: 0 });
      const { body } = await world.server.get(`/hl7/messages/in/${id}`);
      expect(body).toMatchObject({ controlId: 'CTRL1', tree: null, droppedAt: expect.any(String), bytes: 0 });
      expect((await world.server.get(`/hl7/messages/in/${id}/raw`, PRIVILEGED_SCOPE)).status).toBe(404);
      expect(
        (await world.server.get(`/hl7/messages/in/${open}/raw`, PRIVILEGED_SCOPE)).text.length,
      ).toBeGreaterThan(200_000);
    });

    test('the hot tables stay small however large the messages are', async () => {
      const large = `${ORDER}OBX|1|ED|PDF||^^^Base64^${'A'.repeat(MIB)}\r`;
      for (let n = 0; n < 20; n += 1) await logInbound(world.database, { controlId: `L${n}`, raw: large });
      for (let n = 0; n < 20; n += 1)
        await logOutbound(world.database, { raw: large.replace('CTRL1', 'P1') });
      for (const table of ['hl7_inbound', 'hl7_outbound']) {
        const [size] = await world.database.run<{ hot: number; whole: number }>({
          text: `SELECT pg_relation_size('${table}')::int AS hot, pg_table_size('${table}')::int AS whole`,
        });
        // 20 MiB lie beside the table; the table that is searched has a few pages.
        expect(size?.whole).toBeGreaterThan(20 * MIB);
        expect(size?.hot).toBeLessThan(64 * 1024);
      }
    });
  });

  describe('alerts', () => {
    const alerts = async () => {
      const watch = world.server.app.get(AlertWatch, { strict: false });
      await watch.watch();
      return world.server.lines
        .splice(0)
        .map((line) => JSON.parse(line) as { alert?: string; about?: string; msg: string });
    };

    test('tell what is unsent, unfiled, silent, held and refused too often, once when it begins and once when it is over', async () => {
      await logInbound(world.database, { controlId: 'now', sender: 'ADT' });
      await alerts();
      expect(await alerts()).toEqual([]);
      const { id } = await logOutbound(world.database, { minutesAgo: 20 });
      await logInbound(world.database, { controlId: 'unfiled', filing: null, minutesAgo: 12 });
      const first = await alerts();
      expect(first.map(({ alert, about }) => [alert, about])).toEqual([
        ['unsent', 'ris.example:2576'],
        ['unfiled', 'in'],
      ]);
      expect(await alerts()).toEqual([]);
      await world.database.run({ text: `UPDATE hl7_outbound SET state = 'acknowledged' WHERE id = $1` }, [
        id,
      ]);
      expect((await alerts()).map(({ alert, msg }) => [alert, msg])).toEqual([
        ['unsent', 'HL7 alert is over'],
      ]);
      await world.server.post('/hl7/holds', { destination: 'ris.example:2576', reason: 'x' });
      expect((await alerts()).filter(({ alert }) => alert).map(({ alert, about }) => [alert, about])).toEqual(
        [['held', 'ris.example:2576']],
      );
    });

    test('a sender that falls silent is told, one of whom nothing is expected is not', async () => {
      await logInbound(world.database, { controlId: 'a', sender: 'ADT', minutesAgo: 70 });
      await logInbound(world.database, { controlId: 'b', sender: 'OTHER', minutesAgo: 700 });
      const silent = (await alerts()).filter(({ alert }) => alert === 'silent');
      expect(silent.map(({ about }) => about)).toEqual(['ADT:HOSPITAL']);
    });

    test('a share of errors is told from 20 messages on', async () => {
      await logInbound(world.database, { controlId: 'adt', sender: 'ADT' });
      for (let n = 0; n < 10; n += 1)
        await logInbound(world.database, {
          controlId: `bad-${n}`,
          filing: 'refused',
          outcome: 'hl7.missing',
        });
      expect((await alerts()).filter(({ alert }) => alert === 'errors')).toEqual([]);
      for (let n = 0; n < 12; n += 1) await logInbound(world.database, { controlId: `good-${n}` });
      expect((await alerts()).filter(({ alert }) => alert === 'errors').map(({ msg }) => msg)).toEqual([
        'HL7 alert: 43 % of 23 went wrong in the last 15 minutes',
      ]);
    });
  });
});
