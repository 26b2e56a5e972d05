import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import type { Database } from '../../src/database/database.ts';
import { readAck } from '../../src/hl7/ack.ts';
import { readMessage } from '../../src/hl7/codec.ts';
import { FILING_KEY, FILING_QUEUE } from '../../src/kernel/handoffs.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { DoorEvents } from '../../src/steps/inlet/door-events.ts';
import { FilingCall } from '../../src/steps/inlet/filing-call.ts';
import { InboundMessageStore, KEY_CHARACTERS_MAX } from '../../src/steps/inlet/inbound-message.store.ts';
import { InletListener } from '../../src/steps/inlet/inlet-listener.ts';
import { BATCH_MESSAGES_MAX, MessageInlet } from '../../src/steps/inlet/message-inlet.ts';
import { freshDatabase } from '../database.ts';
import { sendOrder } from '../peers/ris.ts';

let database: Database;
let close: () => Promise<void>;
let store: InboundMessageStore;
let events: DoorEvents;
let filing: FilingCall;
let inlet: MessageInlet;
let listener: InletListener;

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  events = new DoorEvents(database, { warn: () => undefined });
  store = new InboundMessageStore(database);
  filing = new FilingCall(database, new Outbox(), store);
  inlet = new MessageInlet(store, filing, events, { HL7_CHARSET: 'UNICODE UTF-8' });
  listener = new InletListener(inlet, readSettings({ HL7_PORT: '0' }), pino({ level: 'silent' }), events);
  await listener.onApplicationBootstrap();
});
afterAll(async () => {
  await listener?.beforeApplicationShutdown();
  await filing?.beforeApplicationShutdown();
  await close?.();
});

interface MessageOptions {
  readonly id?: string;
  readonly type?: string;
  readonly time?: string;
  readonly version?: string;
  readonly more?: string;
  readonly lines?: readonly string[];
}
const PID = 'PID|1||MRN1^^^HOSP^MR||DOE^JANE';
const ORDER = ['ORC|NW|P1^OE', 'OBR|1|P1^OE||36643-5^XR Chest^LN||||||||||||||ACC1'];
const message = (options: MessageOptions = {}) => {
  const { id = `C${randomUUID().slice(0, 12)}`, type = 'ORM^O01', time = '20260115101522' } = options;
  const head = `MSH|^~\\&|OE|HOSP|PRELIM|RAD|${time}||${type}|${id}|P|${options.version ?? '2.5.1'}${options.more ?? ''}`;
  return [head, ...(options.lines ?? [PID, ...ORDER]), ''].join('\r');
};
const take = async (text: string | Buffer, peer?: string) =>
  (await inlet.take(Buffer.from(text as string), peer)).map((ack) => readAck(ack)!);
interface Row {
  readonly id: string;
  readonly outcome: string;
  readonly flags: string[];
  readonly repeats: number;
  readonly raw: Buffer;
  readonly ack: Buffer;
  readonly peer: string;
  readonly message_type: string;
  readonly mrn: string | null;
  readonly accession: string | null;
  readonly filed_at: Date | null;
  readonly filing_outcome: string | null;
}
const rows = (id: string) =>
  database.run<Row>({ text: 'SELECT * FROM hl7_inbound WHERE control_id = $1 ORDER BY id' }, [id]);

describe('A message at the MLLP door', () => {
  it('is on disk before it is acknowledged, unparsed and waiting to be filed', async () => {
    const text = message({ id: 'STORED' });
    expect(readAck(await sendOrder(listener.port, text))).toMatchObject({ code: 'AA', controlId: 'STORED' });
    const [row] = await rows('STORED');
    expect(row).toMatchObject({
      outcome: 'accept',
      flags: [],
      repeats: 0,
      peer: '127.0.0.1',
      message_type: 'ORM^O01',
      mrn: 'MRN1',
      accession: 'ACC1',
      filed_at: null,
      filing_outcome: null,
    });
    expect(row!.raw.toString()).toBe(text);
    expect(readAck(row!.ack)).toMatchObject({ code: 'AA', controlId: 'STORED' });
  });

  it('calls the filing by one job, however many messages come', async () => {
    await Promise.all(Array.from({ length: 100 }, () => take(message())));
    const jobs = () =>
      database.run<{ key: string; payload: object }>(
        { text: 'SELECT key, payload FROM outbox WHERE queue = $1' },
        [FILING_QUEUE],
      );
    await expect.poll(jobs).toEqual([{ key: FILING_KEY, payload: {} }]);
  });

  it('finds at start what waits although its call was lost', async () => {
    await database.run({ text: 'DELETE FROM outbox' });
    const other = new FilingCall(database, new Outbox(), store);
    other.onApplicationBootstrap();
    await expect
      .poll(() => database.run({ text: 'SELECT queue FROM outbox' }))
      .toEqual([{ queue: FILING_QUEUE }]);
    await other.beforeApplicationShutdown();
  });

  it('gives a repeat the same answer and no second row, also with another time and on two connections at once', async () => {
    const text = message({ id: 'AGAIN' });
    const all = [text, text, message({ id: 'AGAIN', time: '20270101000000' })];
    const acks = await Promise.all(all.map((one) => inlet.take(Buffer.from(one))));
    expect(new Set(acks.map(String)).size).toBe(1);
    expect(String(await inlet.take(Buffer.from(text)))).toBe(String(acks[0]));
    expect(await rows('AGAIN')).toMatchObject([{ repeats: 3 }]);
  });

  it('lets one of two processes win that store the same bytes at the same moment', async () => {
    const other = new MessageInlet(new InboundMessageStore(database), filing, events, {
      HL7_CHARSET: 'UNICODE UTF-8',
    });
    for (let round = 0; round < 20; round += 1) {
      const text = Buffer.from(message({ id: `RACE${round}` }));
      const acks = await Promise.all([inlet.take(text), other.take(text)]);
      expect(String(acks[0])).toBe(String(acks[1]));
      expect(await rows(`RACE${round}`)).toMatchObject([{ repeats: 1 }]);
    }
  });

  it('takes another message under a used control id, and flags it', async () => {
    await Promise.all(['1', '2'].map((n) => take(message({ id: 'REUSED', lines: [PID, `ORC|NW|P${n}`] }))));
    expect((await rows('REUSED')).map((row) => row.flags)).toEqual([[], ['control-id-reused']]);
    const other = message({ id: 'REUSED' }).replace('|OE|', '|OTHER|');
    await take(other);
    expect((await rows('REUSED')).map((row) => row.flags)).toContainEqual([]);
  });

  it('numbers the messages of one frame in the order in which they stand, over several commits', async () => {
    const ids = Array.from({ length: 300 }, (_, at) => `ORDER${at}`);
    const others = Array.from({ length: 40 }, () => take(message()));
    await take(`BHS|^~\\&|\r${ids.map((id) => message({ id })).join('')}BTS|300\r`);
    await Promise.all(others);
    const stored = await database.run<{ control_id: string }>({
      text: `SELECT control_id FROM hl7_inbound WHERE control_id LIKE 'ORDER%' ORDER BY id`,
    });
    expect(stored.map((row) => row.control_id)).toEqual(ids);
  });

  it('says who sent: address and the name of the certificate', async () => {
    await take(message({ id: 'PEER' }), '10.0.0.7 CN=ris.hospital');
    expect(await rows('PEER')).toMatchObject([{ peer: '10.0.0.7 CN=ris.hospital' }]);
  });

  it.each([
    ['no MSH', 'rubbish', '', '100', 'hl7.unreadable'],
    ['a segment in small letters', message({ id: 'R1', lines: ['pid|1'] }), 'R1', '100', 'hl7.segment-name'],
    [
      'two messages in one frame',
      `${message({ id: 'R2' })}${message()}`,
      'R2',
      '100',
      'hl7.several-messages',
    ],
    ['no PID', message({ id: 'R3', lines: ORDER }), 'R3', '101', 'hl7.missing'],
    [
      'no patient number',
      message({ id: 'R4', lines: ['PID|1||^^^HOSP^MR', ...ORDER] }),
      'R4',
      '101',
      'hl7.missing',
    ],
    ['no order', message({ id: 'R5', lines: [PID] }), 'R5', '101', 'hl7.missing'],
    [
      'no merged number',
      message({ id: 'R6', type: 'ADT^A40', lines: [PID, 'MRG|""'] }),
      'R6',
      '101',
      'hl7.missing',
    ],
    ['no report', message({ id: 'R7', type: 'ORU^R01', lines: [PID] }), 'R7', '101', 'hl7.missing'],
    ['no control id', message({ id: '' }), '', '101', 'hl7.missing'],
    ['a blank control id', message({ id: ' ' }), ' ', '101', 'hl7.missing'],
    ['no message type', message({ id: 'R8', type: '' }), 'R8', '101', 'hl7.missing'],
    ['an unknown character set', message({ id: 'R9', more: '||||||KLINGON' }), 'R9', '102', 'hl7.charset'],
    ['another message type', message({ id: 'R10', type: 'SIU^S12' }), 'R10', '200', 'hl7.unsupported-type'],
    [
      'a type named like a property',
      message({ id: 'R11', type: '__proto__^constructor' }),
      'R11',
      '200',
      'hl7.unsupported-type',
    ],
    ['another event', message({ id: 'R12', type: 'ORU^R30' }), 'R12', '201', 'hl7.unsupported-event'],
    ['version 3', message({ id: 'R13', version: '3.0' }), 'R13', '203', 'hl7.unsupported-version'],
  ])('is rejected for %s by name, and kept', async (_, text, id, errorCode, outcome) => {
    const [ack] = await take(text);
    expect(ack).toMatchObject({ code: 'AR', controlId: id, errorCode });
    expect(String(ack!.raw)).not.toMatch(/DOE|MRN1/);
    const stored = (await rows(id)).at(-1);
    expect(stored).toMatchObject({ outcome, filing_outcome: 'refused', filed_at: null });
    expect(String(stored!.raw)).toBe(text);
  });

  it('without MSH-10 is rejected at its place, with an empty MSA-2, and a second one is no repeat of it', async () => {
    const before = (await rows('')).length;
    const lines = [PID, ...ORDER, 'NTE|1||twice'];
    const first = message({ id: '', lines });
    const again = message({ id: '', lines });
    const other = message({ id: '', lines: [PID] });
    for (const text of [first, again, other]) {
      const [ack] = await take(text);
      expect(ack).toMatchObject({ code: 'AR', controlId: '', errorCode: '101' });
      expect(String(ack!.raw)).toContain('\rERR||MSH^1^10|101^Required field missing^HL70357|E');
    }
    const kept = (await rows('')).slice(before);
    // The same bytes again are the same message; others under the same empty id are another.
    expect(kept.map(({ outcome, filing_outcome }) => `${outcome} ${filing_outcome}`)).toEqual([
      'hl7.missing refused',
      'hl7.missing refused',
    ]);
  });

  it('is rejected for letters that its character set does not have', async () => {
    const latin = Buffer.from(message({ id: 'LATIN' }).replace('DOE', 'D\xd6E'), 'latin1');
    expect(readAck((await inlet.take(latin))[0]!)).toMatchObject({ code: 'AR', errorCode: '102' });
    const declared = Buffer.from(
      message({ id: 'LATIN1', more: '||||||8859/1' }).replace('DOE', 'D\xd6E'),
      'latin1',
    );
    expect(readAck((await inlet.take(declared))[0]!)).toMatchObject({ code: 'AA' });
  });

  it('finds its numbers behind foreign delimiters, and an IPC outranks OBR-18', async () => {
    const text = message({ id: 'FOREIGN', lines: [PID, ...ORDER, 'IPC|ACC\\T\\2^OE|RP1'] })
      .replaceAll('|', '*')
      .replaceAll('^', ':')
      .replace(':~\\&', ':;!@')
      .replace('\\T\\', '!T!');
    await take(text);
    expect(await rows('FOREIGN')).toMatchObject([
      { mrn: 'MRN1', accession: 'ACC@2', message_type: 'ORM^O01', outcome: 'accept' },
    ]);
  });

  it('is taken however long its numbers are, and whatever is in them', async () => {
    const id = `${'X'.repeat(5_000)}\0`;
    const text = message({ id, lines: [`PID|1||${'9'.repeat(5_000)}`, `ORC|NW|1`] });
    expect(await take(text)).toMatchObject([{ code: 'AA' }]);
    expect(await take(text)).toMatchObject([{ code: 'AA' }]);
    expect(await rows('X'.repeat(KEY_CHARACTERS_MAX))).toMatchObject([
      { mrn: '9'.repeat(KEY_CHARACTERS_MAX), repeats: 1 },
    ]);
  });

  it('answers the messages of a batch one by one, in their order, with one commit', async () => {
    const many = Array.from({ length: 60 }, (_, at) => message({ id: `B${at}` }));
    const wrong = message({ id: 'BX', type: 'SIU^S12' });
    const batch = `FHS|^~\\&|\rBHS|^~\\&|\r${many.join('')}${wrong}BTS|61\rFTS|1\r`;
    const acks = (await take(batch)).map((ack) => `${ack.controlId} ${ack.code}`);
    expect(acks).toEqual([...many.map((_, at) => `B${at} AA`), 'BX AR']);
    const commits = await database.run<{ count: number }>({
      text: `SELECT count(DISTINCT xmin::text)::int AS count FROM hl7_inbound WHERE control_id ~ '^B[0-9]+$'`,
    });
    expect(commits).toEqual([{ count: 1 }]);
  });

  it('answers a batch that holds no message, and one that holds too many, once', async () => {
    expect(await take('FHS|^~\\&|\rBHS|^~\\&|\rBTS|0\rFTS|0\r')).toMatchObject([
      { code: 'AR', errorCode: '100' },
    ]);
    const many = `FHS|^~\\&|\r${'MSH|\r'.repeat(BATCH_MESSAGES_MAX + 1)}`;
    expect(await take(many)).toMatchObject([{ code: 'AR', errorCode: '102' }]);
  });

  it('is acknowledged as MSH-15 and MSH-16 ask', async () => {
    const codes = async (more: string, type = 'ORM^O01') =>
      (await take(message({ more, type }))).map((ack) => ack.code);
    expect(await codes('|||AL|AL')).toEqual(['CA', 'AA']);
    expect(await codes('|||AL|NE')).toEqual(['CA']);
    expect(await codes('|||ER|ER')).toEqual([]);
    expect(await codes('|||ER|AL', 'SIU^S12')).toEqual(['CR', 'AR']);
    expect(await codes('|||SU|ER', 'SIU^S12')).toEqual(['AR']);
  });

  it('is answered AE + 207 while it cannot be stored, and the sender keeps it', async () => {
    const broken = { run: () => Promise.reject(new Error('the server closed the connection')) };
    const down = new MessageInlet(new InboundMessageStore(broken as unknown as Database), filing, events, {
      HL7_CHARSET: 'UNICODE UTF-8',
    });
    for (const text of [message(), 'rubbish', message({ type: 'SIU^S12' })]) {
      const [ack] = await down.take(Buffer.from(text));
      expect(readAck(ack!)).toMatchObject({ code: 'AE', errorCode: '207' });
    }
  });

  it.each([
    ['no event, version 2.1', 'ORM', 'ORM^O01'],
    ['no event of a result', 'ORU', 'ORU^R01'],
    ['no event but that of EVN-1', 'ADT', 'ADT^A40'],
    ['spaces', 'ORM ^O01 ', 'ORM^O01'],
  ])('is taken with %s in MSH-9', async (_, type, expected) => {
    const id = `TYPE-${type}`;
    const [ack] = await take(message({ id, type, lines: ['EVN|A40', PID, 'MRG|OLD', ...ORDER] }));
    expect(ack).toMatchObject({ code: 'AA' });
    expect(await rows(id)).toMatchObject([{ message_type: expected, filing_outcome: null }]);
  });

  it('without MSH-18 is read in the character set of its sender, where the site has said it', async () => {
    const settings = { HL7_CHARSET: 'UNICODE UTF-8;OLD=8859/1' };
    const site = new MessageInlet(store, filing, events, settings);
    const letters = (id: string, more = '') =>
      Buffer.from(message({ id, lines: ['PID|1||M\xdcLLER^^^HOSP^MR', ...ORDER], more }), 'latin1');
    const of = (bytes: Buffer, sender: string) =>
      Buffer.from(bytes.toString('latin1').replace('|OE|', `|${sender}|`), 'latin1');
    const code = async (bytes: Buffer) => readAck((await site.take(bytes))[0]!)!.code;
    expect(await code(of(letters('L1'), 'OLD'))).toBe('AA');
    expect(await rows('L1')).toMatchObject([{ mrn: 'MÜLLER' }]);
    expect(await code(letters('L2'))).toBe('AR');
    expect(await code(of(letters('L3', '||||||UNICODE UTF-8'), 'OLD'))).toBe('AR');
    // Who was refused before the setting was mended is not refused for ever.
    const early = of(letters('L4'), 'OLD');
    const refused = async () => readAck((await inlet.take(early))[0]!)!.code;
    expect([await refused(), await refused(), await code(early), await code(early)]).toEqual([
      'AR',
      'AR',
      'AA',
      'AA',
    ]);
    expect(await rows('L4')).toMatchObject([{ repeats: 1 }, { repeats: 1 }]);
    for (const wrong of ['', '8859/77', 'OLD=8859/1', 'UNICODE UTF-8;OLD='])
      expect(() => new MessageInlet(store, filing, events, { HL7_CHARSET: wrong })).toThrow(
        expect.objectContaining({ code: 'config.invalid' }),
      );
  });

  it('is read by the codec when the door has taken it, for every type that is taken', async () => {
    const types = [
      'ORM^O01',
      'OMI^O23',
      'OMG^O19',
      'ORU^R01',
      'ADT^A01',
      'ADT^A04',
      'ADT^A05',
      'ADT^A08',
      'ADT^A40',
    ];
    for (const [at, type] of types.entries()) {
      const id = `TYPE${at}`;
      const [ack] = await take(message({ id, type, lines: [PID, 'MRG|OLD', ...ORDER] }));
      expect(ack).toMatchObject({ code: 'AA' });
      const [row] = await rows(id);
      expect(readMessage(row!.raw).get('PID', 1, 3)).toBe(row!.mrn);
    }
  });
});
