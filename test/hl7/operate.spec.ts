import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesIn } from '../../src/hl7/message-bytes.ts';
import { splitMessages } from '../../src/hl7/split-batch.ts';
import { LANES_SHOWN_MAX } from '../../src/steps/message-log/lane.store.ts';
import {
  FIELDS_SHOWN_MAX,
  messageTree,
  REPETITIONS_SHOWN_MAX,
  VALUES_SHOWN_MAX,
} from '../../src/steps/message-log/message-tree.ts';
import type { LanesView, MessageTree, ShownMessage, ShownWhole } from '../../src/steps/message-log/shown.ts';
import { logInbound, logOutbound, ORDER, PRIVILEGED_SCOPE } from './operator-server.ts';
import { operatorWorld } from './operator-world.ts';

const DESTINATION = 'ris.example:2576';
const treeOf = (bytes: Buffer): Promise<MessageTree> => messageTree(bytesIn(bytes), { unmask: true });

describe('what an operator of the HL7 side sees and does', () => {
  const world = operatorWorld({ RIS_URL: `mllp://${DESTINATION}` });

  const list = async (search: string, scope?: string): Promise<ShownMessage[]> => {
    const { status, body, text } = await world.server.get(`/hl7/messages?${search}`, scope);
    expect([status, text.slice(0, 300)]).toEqual([200, expect.any(String)]);
    return (body as { messages: ShownMessage[] }).messages;
  };
  const one = async (direction: string, id: string, search = '', scope?: string) =>
    (await world.server.get(`/hl7/messages/${direction}/${id}${search}`, scope)).body as ShownWhole;
  const actions = () =>
    world.database.run<{
      action: string;
      actor: string;
      reason: string;
      message_id: string | null;
      destination: string | null;
      lane: string | null;
      detail: object;
    }>({
      text: 'SELECT action, actor, reason, message_id, destination, lane, detail FROM hl7_action ORDER BY id',
    });

  describe('search', () => {
    test('finds by control id, MRN, accession, type, status, reason, destination, lane and time', async () => {
      await logInbound(world.database, { controlId: 'C1', mrn: 'M1', accession: 'A1', minutesAgo: 100 });
      await logInbound(world.database, {
        controlId: 'C2',
        type: 'ADT^A08',
        filing: 'fhir.multiple-matches',
        minutesAgo: 50,
      });
      await logInbound(world.database, {
        controlId: 'C3',
        filing: 'refused',
        outcome: 'hl7.missing',
        minutesAgo: 40,
      });
      await logInbound(world.database, { controlId: 'C4', filing: null, minutesAgo: 30 });
      const lost = await logOutbound(world.database, {
        state: 'rejected',
        error: 'AR 204',
        lane: 'lane-x',
        accession: 'A9',
      });
      await logOutbound(world.database, { state: 'acknowledged', destination: 'other:1' });
      const ids = async (search: string) => (await list(search)).map(({ controlId }) => controlId);
      expect(await ids('controlId=C1')).toEqual(['C1']);
      expect(await ids('mrn=M1')).toEqual(['C1']);
      expect(await ids('accession=A1')).toEqual(['C1']);
      expect(await ids('direction=in&type=ADT%5EA08')).toEqual(['C2']);
      expect(await ids('direction=in&status=held')).toEqual(['C2']);
      expect(await ids('direction=in&status=refused,waiting')).toEqual(['C4', 'C3']);
      expect(await ids('reason=hl7.missing')).toEqual(['C3']);
      expect(await ids('errorClass=filing')).toEqual(['C2']);
      expect(await ids('errorClass=answered-reject')).toEqual([lost.controlId]);
      expect(await ids('lane=lane-x')).toEqual([lost.controlId]);
      expect(await ids(`destination=${DESTINATION}`)).toEqual([lost.controlId]);
      const hourAgo = new Date(Date.now() - 45 * 60_000).toISOString();
      expect(await ids(`direction=in&from=${hourAgo}`)).toEqual(['C4', 'C3']);
      expect(await ids(`direction=in&to=${hourAgo}`)).toEqual(['C2', 'C1']);
      await logInbound(world.database, { controlId: 'C5', filing: 'merge.reversed' });
      expect(await ids('errorClass=filing')).toEqual(['C5', 'C2']);
    });

    test('pages through both directions without losing or repeating one, also of the same microsecond', async () => {
      for (let n = 0; n < 7; n += 1) await logInbound(world.database, { controlId: `I${n}`, minutesAgo: n });
      for (let n = 0; n < 6; n += 1) await logOutbound(world.database, { minutesAgo: n, lane: `l${n}` });
      await world.database.run({ text: `UPDATE hl7_outbound SET message_time = now()` });
      const seen: string[] = [];
      let after = '';
      for (let pages = 0; pages < 20; pages += 1) {
        const { body } = await world.server.get(`/hl7/messages?limit=3${after}`);
        const { messages, next } = body as { messages: ShownMessage[]; next: string | null };
        seen.push(...messages.map(({ id }) => id));
        if (next === null) break;
        after = `&after=${next}`;
      }
      expect(seen.length).toBe(13);
      expect(new Set(seen).size).toBe(13);
    });

    test('what is no search is refused with every fault and without its values', async () => {
      const { status, text } = await world.server.get(
        '/hl7/messages?direction=up&from=yesterday&limit=9999&colour=red&after=Zm9v&status=happy',
      );
      expect(status).toBe(400);
      for (const part of ['direction', 'from', 'limit', 'colour', 'after', 'status'])
        expect(text).toContain(part);
      for (const value of ['yesterday', 'happy', '9999']) expect(text).not.toContain(value);
      expect((await world.server.get('/hl7/messages?controlId=a&controlId=b')).status).toBe(400);
      expect((await world.server.get(`/hl7/messages?mrn=${'x'.repeat(500)}`)).status).toBe(400);
    });

    test('hostile values are values', async () => {
      await logInbound(world.database, { controlId: 'C1' });
      for (const evil of [`' OR 1=1 --`, `%'; DROP TABLE hl7_inbound; --`, '%', '_', '\\'])
        expect(await list(`direction=in&mrn=${encodeURIComponent(evil)}`)).toEqual([]);
      expect(await list('direction=in&controlId=C1')).toHaveLength(1);
    });
  });

  describe('masking', () => {
    test('names, numbers, addresses and free text are masked in list, tree, raw and acknowledgements', async () => {
      const id = await logInbound(world.database, { controlId: 'C1' });
      const out = await logOutbound(world.database, { attempts: 2, error: 'AE 207' });
      const texts = [
        (await world.server.get('/hl7/messages')).text,
        (await world.server.get(`/hl7/messages/in/${id}`)).text,
        (await world.server.get(`/hl7/messages/out/${out.id}`)).text,
      ].join('\n');
      for (const secret of [
        'Zwiebelkuchen',
        'Adelgunde',
        '4711',
        '19600517',
        'Secret Street',
        'lung',
        'coughs',
        'nodule',
        'unknown',
      ])
        expect(texts).not.toContain(secret);
      const shown = await one('in', id);
      expect(shown.masked).toBe(true);
      const obr = segment(shown.tree, 'OBR');
      expect(obr?.title).toBe('Observation request');
      expect(obr?.fields.find(({ n }) => n === 4)).toEqual({
        n: 4,
        name: 'Universal service identifier',
        values: [['24627-2', 'CT Chest', 'LN']],
        masked: false,
      });
      expect(obr?.fields.find(({ n }) => n === 13)).toMatchObject({ masked: true, values: [['•••']] });
      expect(segment(shown.tree, 'ZZZ')?.fields.every(({ masked }) => masked)).toBe(true);
      expect(shown.tree?.raw[1]).toBe('PID|1||•••^^^•••^•••||•••^•••||•••|•••|||•••^^•••');
    });

    test('who may read Patient sees it on request, and that is logged first; who may not is refused', async () => {
      const id = await logInbound(world.database, { controlId: 'C1' });
      expect((await world.server.get(`/hl7/messages/in/${id}?unmask=true`)).status).toBe(403);
      expect((await world.server.get('/hl7/messages?unmask=true')).status).toBe(403);
      expect(await actions()).toEqual([]);
      const shown = await one('in', id, '?unmask=true', PRIVILEGED_SCOPE);
      expect(segment(shown.tree, 'PID')?.fields.find(({ n }) => n === 5)?.values).toEqual([
        ['Zwiebelkuchen', 'Adelgunde'],
      ]);
      expect((await one('in', id, '', PRIVILEGED_SCOPE)).masked).toBe(true);
      expect((await list('mrn=4711&unmask=true', PRIVILEGED_SCOPE))[0]?.mrn).toBe('4711');
      expect((await actions()).map(({ action, actor }) => [action, actor])).toEqual([
        ['unmask', 'operator-1'],
        ['unmask-list', 'operator-1'],
      ]);
    });

    test('the bytes can be had as a file by those who may see them', async () => {
      const id = await logInbound(world.database, { controlId: 'CTRL1' });
      expect((await world.server.get(`/hl7/messages/in/${id}/raw`)).status).toBe(403);
      const { text, headers } = await world.server.get(`/hl7/messages/in/${id}/raw`, PRIVILEGED_SCOPE);
      expect(text).toBe(ORDER);
      expect(headers.get('content-disposition')).toContain('attachment');
      expect((await actions()).map(({ action }) => action)).toEqual(['download']);
    });

    test('a message that nobody can read shows its header and nothing else', async () => {
      const id = await logInbound(world.database, {
        controlId: 'BAD',
        raw: 'MSH|^~\\&|HIS|H|P|R|20260301||ADT^A08|BAD|P|2.5.1\rpid|Zwiebelkuchen\r',
      });
      const shown = await one('in', id, '?unmask=true', PRIVILEGED_SCOPE);
      expect(shown.tree?.unreadable).toBe(true);
      expect(shown.tree?.segments.map(({ name }) => name)).toEqual(['MSH']);
      expect(JSON.stringify(shown.tree)).not.toContain('Zwiebelkuchen');
    });

    test('a message of very many values is shown in part, and says so', async () => {
      const wide = `ZZZ${'|a'.repeat(FIELDS_SHOWN_MAX + 1)}`;
      const long = `NK1|1|${Array(REPETITIONS_SHOWN_MAX + 1)
        .fill('A')
        .join('~')}`;
      const rows = [wide, ...Array<string>(VALUES_SHOWN_MAX / REPETITIONS_SHOWN_MAX).fill(long)];
      const { segments, more } = await treeOf(Buffer.from(`${ORDER}${rows.join('\r')}\r`));
      expect(more).toBe(true);
      const counts = segments.flatMap(({ fields }) => fields.map(({ values }) => values.length));
      expect(Math.max(...counts)).toBe(REPETITIONS_SHOWN_MAX);
      expect(counts.reduce((sum, n) => sum + n)).toBeLessThanOrEqual(VALUES_SHOWN_MAX + 10);
      expect(Math.max(...segments.flatMap(({ fields }) => fields.map(({ n }) => n)))).toBe(FIELDS_SHOWN_MAX);
      expect((await treeOf(Buffer.from(ORDER))).more).toBe(false);
    });

    test('a long message is shown in parts, each masked as the whole would be, and each look without a mask is logged', async () => {
      const body = ORDER.split('\r').slice(1, -1);
      const raw = `${ORDER.split('\r', 1)[0]}\r${Array.from({ length: 300 }, () => body)
        .flat()
        .join('\r')}\r`;
      const id = await logInbound(world.database, { controlId: 'LONG', raw });
      const parts = async (search: string, scope?: string) => {
        const all: MessageTree[] = [];
        let { tree } = await one('in', id, `?${search}`, scope);
        while (tree !== null) {
          all.push(tree);
          const from: string | null = tree.next;
          if (from === null) break;
          const { body: next } = await world.server.get(
            `/hl7/messages/in/${id}/tree?from=${from}&${search}`,
            scope,
          );
          expect((next as ShownWhole).masked).toBe(search === '');
          tree = (next as ShownWhole).tree;
        }
        return all;
      };
      const masked = await parts('');
      expect(masked.map(({ first, segments }) => [first, segments.length])).toEqual([
        [1, 500],
        [501, 500],
        [1_001, 500],
        [1_501, 301],
      ]);
      expect(JSON.stringify(masked)).not.toMatch(/Zwiebelkuchen|4711|19600517|Secret|lung|coughs|nobody/);
      const lines = masked.flatMap((tree) => tree.raw).slice(1);
      for (const [at, text] of lines.entries()) expect(text).toBe(lines[at % body.length]);
      expect(await actions()).toEqual([]);
      const open = await parts('unmask=true', PRIVILEGED_SCOPE);
      expect(open.at(-1)?.raw.at(-6)).toContain('Zwiebelkuchen^Adelgunde');
      const seen = await world.database.run<{ action: string; detail: { fromByte?: number } }>({
        text: 'SELECT action, detail FROM hl7_action ORDER BY id',
      });
      expect(seen.map(({ action, detail }) => [action, detail.fromByte])).toEqual(
        open.map((_, at) => ['unmask', at === 0 ? undefined : Number.parseInt(open[at - 1]?.next ?? '', 10)]),
      );
      expect((await one('in', id, '?tree=none')).tree).toBe(null);
      const { next } = masked[0]!;
      expect((await world.server.get(`/hl7/messages/in/${id}/tree?from=${next}&unmask=true`)).status).toBe(
        403,
      );
      // Inside of a line, before its beginning, behind the end.
      for (const bad of [
        'x',
        '',
        '0.1',
        '-1.1',
        '150.1',
        '99999999.1',
        `${Number.parseInt(next!, 10) + 1}.501`,
      ])
        expect((await world.server.get(`/hl7/messages/in/${id}/tree?from=${bad}`)).status, bad).toBe(400);
      expect((await world.server.get(`/hl7/messages/in/${id}/tree`)).status).toBe(400);
      expect((await world.server.get(`/hl7/messages/in/999999/tree?from=9.1`)).status).toBe(404);
    });

    test('no name, number or date of birth of the real messages is seen in their masked form', async () => {
      const folder = resolve(import.meta.dirname, '../../../shared/data/hl7');
      if (!existsSync(folder)) {
        process.stdout.write('skipped: no shared data\n');
        return;
      }
      let messages = 0;
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((one) =>
        /\.(hl7|txt)$/.test(one),
      )) {
        for (const bytes of splitMessages(readFileSync(join(folder, name)))) {
          const open = await treeOf(bytes);
          if (open.unreadable) continue;
          messages += 1;
          const masked = await messageTree(bytesIn(bytes), { unmask: false });
          const pid = masked.segments.find((one) => one.name === 'PID');
          expect(pid?.fields.every(({ n, masked: hidden }) => n === 1 || hidden) ?? true, name).toBe(true);
          for (const value of open.segments
            .flatMap((one) => (one.name === 'PID' ? one.fields.filter(({ n }) => n === 5) : []))
            .flatMap(({ values }) => values.flat()))
            if (value.length > 4)
              expect(
                masked.raw.filter((line) => /^(PID|NTE|NK1|MRG|IN1|GT1)/.test(line)).join('\n'),
                name,
              ).not.toContain(value);
        }
      }
      expect(messages).toBeGreaterThan(3);
    });
  });

  test('without a token nothing is told; without the right scope, or with that of one patient, neither', async () => {
    for (const path of ['/hl7/messages', '/hl7/lanes', '/hl7/dead', '/hl7/actions', '/hl7/alerts']) {
      expect((await fetch(`${world.server.url}${path}`)).status).toBe(401);
      expect((await world.server.get(path, 'system/Patient.rs')).status).toBe(403);
      expect((await world.server.get(path, 'patient/*.cruds')).status).toBe(403);
      expect((await world.server.get(path, 'system/Task.r')).status).toBe(200);
    }
    const { id } = await logOutbound(world.database, { state: 'rejected', error: 'AR' });
    expect(
      (await world.server.post(`/hl7/messages/out/${id}/resend`, { reason: 'x' }, 'system/Task.r')).status,
    ).toBe(403);
    expect(
      (await world.server.post('/hl7/holds', { destination: DESTINATION, reason: 'x' }, 'patient/*.cruds'))
        .status,
    ).toBe(403);
  });

  describe('actions', () => {
    test('an unknown message, a missing reason and an unknown action are refused by name', async () => {
      const { id } = await logOutbound(world.database, { state: 'rejected', error: 'AR' });
      expect((await world.server.post(`/hl7/messages/out/${id}/resend`, {})).text).toContain('reason');
      expect((await world.server.post(`/hl7/messages/out/${id}/replay`, { reason: 'x' })).status).toBe(400);
      expect((await world.server.post(`/hl7/messages/in/999/replay`, { reason: 'x' })).text).toContain(
        'hl7.unknown-message',
      );
      for (const bad of ['0', '-1', 'x', '99999999999999999999', id])
        expect((await world.server.get(`/hl7/messages/in/${bad}`)).status).toBe(404);
      expect(await actions()).toEqual([]);
    });

    test('a held message is filed again, or discarded, with the deed in the log; an ended one is not', async () => {
      const held = await logInbound(world.database, { controlId: 'H', filing: 'fhir.multiple-matches' });
      const gone = await logInbound(world.database, { controlId: 'G', filing: 'order.other-patient' });
      const filed = await logInbound(world.database, { controlId: 'F' });
      expect(
        (await world.server.post(`/hl7/messages/in/${held}/replay`, { reason: 'the patient was corrected' }))
          .status,
      ).toBe(200);
      expect(
        (await world.server.post(`/hl7/messages/in/${gone}/discard`, { reason: 'sent in error' })).status,
      ).toBe(200);
      expect((await world.server.post(`/hl7/messages/in/${filed}/replay`, { reason: 'x' })).text).toContain(
        'hl7.not-open',
      );
      expect((await one('in', held)).status).toBe('waiting');
      const shown = await one('in', gone);
      expect(shown.status).toBe('discarded');
      expect(
        shown.actions.map(({ action, actor, reason, detail }) => ({ action, actor, reason, detail })),
      ).toEqual([
        {
          action: 'discard',
          actor: 'operator-1',
          reason: 'sent in error',
          detail: { status: 'held', error: 'order.other-patient' },
        },
      ]);
      expect(await world.database.run({ text: `SELECT queue FROM outbox` })).toEqual([{ queue: 'filing' }]);
    });

    test('a destination and a lane are held and released, and the lanes show it with the head that blocks', async () => {
      const first = await logOutbound(world.database, {
        lane: 'lane-1',
        minutesAgo: 20,
        error: 'AE 207',
        attempts: 3,
      });
      await logOutbound(world.database, { lane: 'lane-1', minutesAgo: 10 });
      expect((await world.server.post('/hl7/holds', { destination: 'nobody', reason: 'x' })).text).toContain(
        'ris.unknown-destination',
      );
      expect(
        (await world.server.post('/hl7/holds', { destination: DESTINATION, reason: 'RIS upgrade' })).status,
      ).toBe(200);
      expect(
        (
          await world.server.post('/hl7/holds', {
            destination: DESTINATION,
            lane: 'lane-1',
            reason: 'wrong patient',
          })
        ).status,
      ).toBe(200);
      const { body } = await world.server.get('/hl7/lanes');
      expect(body).toMatchObject({
        destinations: [
          {
            destination: DESTINATION,
            waiting: 2,
            lanes: 1,
            held: { by: 'operator-1', reason: 'RIS upgrade' },
          },
        ],
        lanes: [
          {
            lane: 'lane-1',
            waiting: 2,
            head: { id: first.id, controlId: first.controlId, attempts: 3, lastError: 'AE 207' },
            held: { reason: 'wrong patient' },
          },
        ],
      });
      expect(
        (await world.server.post('/hl7/holds/release', { destination: DESTINATION, reason: 'done' })).status,
      ).toBe(200);
      expect(
        (await world.server.post('/hl7/holds/release', { destination: DESTINATION, reason: 'done' })).text,
      ).toContain('hl7.not-held');
      expect((await actions()).map(({ action, lane }) => [action, lane])).toEqual([
        ['hold', null],
        ['hold', 'lane-1'],
        ['release', null],
      ]);
    });

    test('a release names the hold that it ended: of what, since when, by whom and why; so does a hold of what is held', async () => {
      await logOutbound(world.database, { lane: 'lane-1', minutesAgo: 10 });
      const ask = async (path: string, body: object) => (await world.server.post(path, body)).body;
      const lane = { destination: DESTINATION, lane: 'lane-1' };
      const hold = { ...lane, by: 'operator-1', reason: 'wrong patient' };
      const all = { destination: DESTINATION, lane: null, by: 'operator-1', reason: 'RIS upgrade' };
      expect(await ask('/hl7/holds', { ...lane, reason: hold.reason })).toEqual({
        held: { ...hold, at: expect.any(String), already: false },
      });
      await world.database.run({
        text: `UPDATE hl7_lane_hold SET held_by = 'prelim', reason = 'AE 207', held_at = '2026-01-15T02:30:00Z'`,
      });
      const own = { ...lane, by: 'prelim', reason: 'AE 207', at: '2026-01-15T02:30:00.000Z' };
      expect(await ask('/hl7/holds', { ...lane, reason: 'me too' })).toEqual({
        held: { ...own, already: true },
      });
      await ask('/hl7/holds', { destination: DESTINATION, reason: all.reason });
      // The lane is known by its name: the log has the destination that the hold was of, whatever was asked.
      const asked = { destination: 'another:1', lane: 'lane-1', reason: 'seen to' };
      expect(await ask('/hl7/holds/release', asked)).toEqual({ released: own });
      expect(await ask('/hl7/holds/release', { destination: DESTINATION, reason: 'upgrade done' })).toEqual({
        released: { ...all, at: expect.any(String) },
      });
      const kept = { held: 'lane', heldAt: own.at, heldBy: 'prelim', heldReason: 'AE 207' };
      expect((await actions()).map((one) => [one.action, one.destination, one.lane, one.detail])).toEqual([
        ['hold', DESTINATION, 'lane-1', {}],
        ['hold', DESTINATION, 'lane-1', { ...kept, already: true }],
        ['hold', DESTINATION, null, {}],
        ['release', DESTINATION, 'lane-1', kept],
        [
          'release',
          DESTINATION,
          null,
          {
            held: 'destination',
            heldAt: expect.any(String),
            heldBy: 'operator-1',
            heldReason: 'RIS upgrade',
          },
        ],
      ]);
    });

    test('a lane that has just become empty is held all the same, shown with its destination, and released', async () => {
      const target = { destination: DESTINATION, lane: 'lane-1', reason: 'wrong patient' };
      expect((await world.server.post('/hl7/holds', target)).status).toBe(200);
      const { body } = await world.server.get('/hl7/lanes');
      const [held] = (body as { heldEmpty: { lane: string; destination: string }[] }).heldEmpty;
      expect(held).toMatchObject({ lane: 'lane-1', destination: DESTINATION });
      expect(
        (await world.server.post('/hl7/holds/release', { ...target, destination: held?.destination })).status,
      ).toBe(200);
    });

    test('the head of a lane is the first by its place, not an older message that was sent again', async () => {
      const again = await logOutbound(world.database, { lane: 'lane-1', minutesAgo: 60, error: 'AR 204' });
      const { id } = await logOutbound(world.database, { lane: 'lane-1', error: 'hl7.connection' });
      const headOf = async () =>
        ((await world.server.get('/hl7/lanes')).body as { lanes: { head: { id: string } }[] }).lanes[0]?.head;
      expect(await headOf()).toMatchObject({ id: again.id });
      await world.database.run({ text: 'UPDATE hl7_unacknowledged SET seq = DEFAULT WHERE id = $1' }, [
        again.id,
      ]);
      expect(await headOf()).toMatchObject({ id, lastError: 'hl7.connection' });
    });

    test('many lanes of one destination do not hide those of another', async () => {
      for (let n = 0; n < LANES_SHOWN_MAX + 2; n += 1)
        await logOutbound(world.database, { lane: `lane-${n}`, minutesAgo: 90 });
      await logOutbound(world.database, { lane: 'other-1', destination: 'other:1', error: 'AE 207' });
      const shown = async () => (await world.server.get('/hl7/lanes')).body as LanesView;
      const { lanes } = await shown();
      expect(lanes.map(({ lane }) => lane)).toContain('other-1');
      expect(lanes).toHaveLength(LANES_SHOWN_MAX + 1);
      // One that is held is never shown as empty.
      const target = { destination: DESTINATION, lane: `lane-${LANES_SHOWN_MAX}`, reason: 'wrong patient' };
      expect(lanes.map(({ lane }) => lane)).not.toContain(target.lane);
      expect((await world.server.post('/hl7/holds', target)).status).toBe(200);
      const after = await shown();
      expect(after.heldEmpty).toEqual([]);
      expect(after.lanes.find(({ lane }) => lane === target.lane)).toMatchObject({
        waiting: 1,
        held: { reason: 'wrong patient' },
      });
    });

    test('a bulk action that breaks off says what was done and what was not', async () => {
      for (let n = 0; n < 4; n += 1)
        await logInbound(world.database, { controlId: `D${n}`, filing: 'fhir.multiple-matches' });
      const asked = { direction: 'in', action: 'discard', filter: { status: 'held' } };
      const { token } = (await world.server.post('/hl7/bulk/count', asked)).body as { token: string };
      await world.database.run({
        text: `CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.control_id = 'D1' THEN RAISE EXCEPTION 'a fault nobody foresaw'; END IF; RETURN NEW; END $$`,
      });
      await world.database.run({
        text: 'CREATE TRIGGER break_off BEFORE UPDATE ON hl7_inbound FOR EACH ROW EXECUTE FUNCTION break_off()',
      });
      const { body } = await world.server.post('/hl7/bulk', { token, reason: 'test messages' });
      await world.database.run({ text: 'DROP FUNCTION break_off CASCADE' });
      expect(body).toEqual({ done: 1, skipped: { internal: 3 } });
      expect((await list('direction=in&status=held')).length).toBe(3);
    });

    test('dead letters are counted by reason, then dealt with in bulk: exactly those that were counted, once, by the same person', async () => {
      for (let n = 0; n < 5; n += 1)
        await logInbound(world.database, { controlId: `D${n}`, filing: 'fhir.multiple-matches' });
      await logInbound(world.database, { controlId: 'E', filing: 'order.other-patient' });
      await logOutbound(world.database, { state: 'dead', error: 'hl7.connection' });
      const { body } = await world.server.get('/hl7/dead');
      expect(
        (body as { groups: { reason: string; messages: number }[] }).groups.map(({ reason, messages }) => [
          reason,
          messages,
        ]),
      ).toEqual([
        ['fhir.multiple-matches', 5],
        ['order.other-patient', 1],
        ['hl7.connection', 1],
      ]);
      const filter = { status: 'held', reason: 'fhir.multiple-matches' };
      const counted = (
        await world.server.post('/hl7/bulk/count', { direction: 'in', action: 'discard', filter })
      ).body as { count: number; token: string };
      expect(counted.count).toBe(5);
      expect(await actions()).toEqual([]);
      // One more comes, and one is dealt with otherwise, between the count and the deed.
      await logInbound(world.database, { controlId: 'D9', filing: 'fhir.multiple-matches' });
      await world.database.run({
        text: `UPDATE hl7_inbound SET filing_outcome = 'filed' WHERE control_id = 'D0'`,
      });
      const { body: end } = await world.server.post('/hl7/bulk', {
        token: counted.token,
        reason: 'test messages',
      });
      expect(end).toEqual({ done: 4, skipped: { 'hl7.not-open': 1 } });
      expect((await list('direction=in&status=held')).map(({ controlId }) => controlId).sort()).toEqual([
        'D9',
        'E',
      ]);
      expect(
        (await world.server.post('/hl7/bulk', { token: counted.token, reason: 'again' })).text,
      ).toContain('hl7.selection');
      expect((await actions()).map(({ action }) => action)).toEqual([
        'bulk-discard',
        'discard',
        'discard',
        'discard',
        'discard',
      ]);
      expect(
        (await world.server.post('/hl7/bulk/count', { direction: 'in', action: 'discard', filter: {} }))
          .status,
      ).toBe(400);
    });
  });

  test('what goes to another destination is counted for it; the one that has it, and one that nobody knows, are refused by name', async () => {
    const sent = await logOutbound(world.database, {
      state: 'acknowledged',
      destination: 'archive',
      report: 'r1',
    });
    const own = await logOutbound(world.database, { state: 'acknowledged', minutesAgo: 5 });
    const to = (destination: unknown) => ({ destination, reason: 'a new RIS' });
    const post = (id: string, body: object) => world.server.post(`/hl7/messages/out/${id}/send-to`, body);
    expect((await post(sent.id, to('nobody'))).text).toContain('ris.unknown-destination');
    expect((await post(sent.id, to(undefined))).status).toBe(400);
    expect((await post(own.id, to(DESTINATION))).text).toContain('ris.same-destination');
    expect((await world.server.post('/hl7/messages/in/1/send-to', to(DESTINATION))).status).toBe(400);
    const asked = { direction: 'out', action: 'send-to', filter: { status: 'acknowledged' } };
    expect((await world.server.post('/hl7/bulk/count', asked)).status).toBe(400);
    expect(await actions()).toEqual([]);
    const { body } = await world.server.post('/hl7/bulk/count', { ...asked, destination: DESTINATION });
    expect(body).toMatchObject({ count: 2, more: false, goOnFrom: null });
    const { token } = body as { token: string };
    const { body: end } = await world.server.post('/hl7/bulk', { token, reason: 'a new RIS' });
    expect(end).toEqual({ done: 1, skipped: { 'ris.same-destination': 1 } });
    const jobs = await world.database.run<{ payload: object; lane: string }>({
      text: 'SELECT payload, lane FROM outbox',
    });
    expect(jobs.map(({ payload }) => payload)).toEqual([
      { diagnosticReportId: 'r1', versionId: 1, patientId: '', destination: DESTINATION },
    ]);
    expect((await actions()).map(({ action }) => action)).toEqual(['bulk-send-to', 'send-to']);
  });

  test('a count of more than one action takes says from when to go on', async () => {
    await world.database.run({
      text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, state, report_id, report_version, message_time, created_at)
        SELECT gen_random_uuid(), 'archive', 'lane', 'P' || n, '', 'acknowledged', 'r' || n, 1, now(), timestamptz '2026-03-01Z' + make_interval(secs => n)
        FROM generate_series(1, 1001) AS n`,
    });
    const asked = { direction: 'out', action: 'send-to', destination: DESTINATION };
    const count = async (filter: object) =>
      (await world.server.post('/hl7/bulk/count', { ...asked, filter })).body as { goOnFrom: string };
    const first = await count({ destination: 'archive' });
    expect(first).toMatchObject({ count: 1_000, more: true, goOnFrom: '2026-03-01T00:16:40.000Z' });
    const rest = await count({ destination: 'archive', from: first.goOnFrom });
    expect(rest).toMatchObject({ count: 2, more: false });
  });

  test('the log cannot be edited or emptied, by whatever statement, but by retention', async () => {
    const id = await logInbound(world.database, { controlId: 'C1', filing: 'internal' });
    const out = await logOutbound(world.database, { attempts: 1 });
    await world.server.post(`/hl7/messages/in/${id}/discard`, { reason: 'x' });
    for (const text of [
      `UPDATE hl7_action SET actor = 'somebody else'`,
      'DELETE FROM hl7_action',
      'TRUNCATE hl7_action',
      `UPDATE hl7_attempt SET outcome = 'acknowledged'`,
      'DELETE FROM hl7_attempt',
      'DELETE FROM hl7_inbound',
      `UPDATE hl7_inbound SET raw = 'x'`,
      `UPDATE hl7_outbound SET raw = 'x' WHERE id = '${out.id}'`,
      'TRUNCATE hl7_outbound',
    ])
      await expect(world.database.run({ text }), text).rejects.toThrow('append-only');
    expect((await one('in', id)).actions).toHaveLength(1);
  });
});

function segment(tree: MessageTree | null, name: string) {
  return tree?.segments.find((found) => found.name === name);
}
