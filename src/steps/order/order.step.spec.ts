import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Encounter, Patient, Resource, ServiceRequest } from '@medplum/fhirtypes';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { TLS_CLIENT, TLS_SERVER } from '../../../test/fixtures/tls-certificates.ts';
import { sendOrder } from '../../../test/peers/ris.ts';
import { readSettings } from '../../config/settings.ts';
import type { Database } from '../../database/database.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { checkElements } from '../../fhir/validate/check-elements.ts';
import { readAck } from '../../hl7/ack.ts';
import { MllpClient } from '../../hl7/mllp-client.ts';
import { InboundMessageStore } from './inbound-message.store.ts';
import { OrderStep } from './order.step.ts';
import { OrderListener } from './order-listener.ts';

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
let step: OrderStep;
let listener: OrderListener;
const SITE = { SITE_TIME_ZONE: 'America/St_Johns' };

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  step = new OrderStep(database, store, new InboundMessageStore(), SITE);
  const settings = readSettings({ HL7_PORT: '0' });
  listener = new OrderListener(step, settings, pino({ level: 'silent' }));
  await listener.onApplicationBootstrap();
});
afterAll(async () => {
  await listener?.beforeApplicationShutdown();
  await close?.();
});

/** Every test has its own patient and control ids. */
let patient = 0;
beforeEach(() => {
  patient += 1;
});
const message = (lines: readonly string[], id = `C${randomUUID()}`, time = '20260115101522') =>
  [
    `MSH|^~\\&|OE|HOSP|PRELIM|RAD|${time}||OMI^O23^OMI_O23|${id}|P|2.5.1`,
    `PID|1||MRN${patient}^^^HOSP^MR||DOE^JANE||19650214|F`,
    `PV1|1|E|ED^12^A^HOSP||||77^ATT^END||||||||||||V${patient}^^^HOSP^VN`,
    ...lines,
    '',
  ].join('\r');
const order = (control = 'NW', number = '1') => [
  `ORC|${control}|P${patient}-${number}^OE|F${patient}-${number}^RIS||SC||^^^^^S||20260115093000|||1234^HOUSE^GREGORY`,
  `OBR|1|P${patient}-${number}^OE||36643-5^XR Chest^LN^X1^Chest^L||||||||||||||ACC${patient}-${number}|||||||||||||R05^Cough^I10`,
  `IPC|ACC${patient}-${number}|RP1|1.2.3.${patient}|S1|CR`,
  'NTE|1||Short of breath',
];
const send = async (text: string) => readAck(await sendOrder(listener.port, text));
const ask = (text: string) => step.take(Buffer.from(text));
const find = async <T extends Resource>(type: string, query: string) =>
  (await store.search(type, query)).matches.map((match) => ({
    ...match.parse<T>(),
    version: match.versionId,
  }));
const filed = () =>
  find<ServiceRequest>(
    'ServiceRequest',
    `identifier=https://prelim.example/fhir/NamingSystem/accession|ACC${patient}-1`,
  );
const rows = (id: string) =>
  database.run<{ outcome: string; flags: string[]; repeats: number; raw: Buffer; ack: Buffer }>(
    { text: 'SELECT outcome, flags, repeats, raw, ack FROM hl7_inbound WHERE control_id = $1 ORDER BY id' },
    [id],
  );

describe('An order at the MLLP door', () => {
  it('is stored and filed before it is acknowledged', async () => {
    const text = message(order(), 'FILED');
    expect(await send(text)).toMatchObject({ code: 'AA', controlId: 'FILED' });
    const [request] = await filed();
    expect(request).toMatchObject({ status: 'active', intent: 'order', priority: 'stat' });
    const subject = await store.read('Patient', String(request!.subject.reference?.split('/')[1]));
    expect(subject?.parse<Patient>().name?.[0]?.family).toBe('DOE');
    const visit = await store.read('Encounter', String(request!.encounter?.reference?.split('/')[1]));
    expect(visit?.parse<Encounter>().class.code).toBe('EMER');
    // ORC-9 has no zone: it is of the site's, whatever that of the machine.
    expect(request!.authoredOn).toBe('2026-01-15T09:30:00-03:30');
    const [row] = await rows('FILED');
    expect(row).toMatchObject({ outcome: 'accept', flags: [], repeats: 0 });
    expect(row!.raw.toString()).toBe(text);
  });

  it('makes resources that are valid FHIR R4', async () => {
    await ask(message(order()));
    const [request] = await filed();
    const ids = [request!.subject.reference!, request!.encounter!.reference!].map(
      (one) => one.split('/') as [string, string],
    );
    const linked = await Promise.all(ids.map(async ([type, id]) => (await store.read(type, id))!.parse()));
    const { version: _, ...plain } = request!;
    for (const resource of [plain, ...linked]) expect(checkElements(resource)).toEqual([]);
  });

  it('gives a repeated message the same answer and no second effect, also with another time and on two connections at once', async () => {
    const text = message(order(), 'AGAIN');
    const acks = await Promise.all([ask(text), ask(text), ask(message(order(), 'AGAIN', '20270101000000'))]);
    expect(new Set(acks.map(String)).size).toBe(1);
    expect(await rows('AGAIN')).toMatchObject([{ repeats: 2 }]);
    expect((await filed()).map((one) => one.version)).toEqual(['1']);
  });

  it('takes another message under a used control id, and flags it', async () => {
    await ask(message(order('NW', '1'), 'REUSED'));
    await ask(message(order('NW', '2'), 'REUSED'));
    expect((await rows('REUSED')).map((row) => row.flags)).toEqual([[], ['control-id-reused']]);
    expect(await find('ServiceRequest', `identifier=ACC${patient}-2`)).toHaveLength(1);
  });

  it('changes what a later message says and keeps what it does not say', async () => {
    await ask(message(order()));
    await ask(message([`ORC|CA|P${patient}-1^OE`]));
    const [request, ...more] = await filed();
    expect(more).toEqual([]);
    expect(request).toMatchObject({
      version: '2',
      status: 'revoked',
      priority: 'stat',
      note: [{ text: 'Short of breath' }],
    });
    expect(request!.code?.text).toBe('XR Chest');
  });

  it('finds the patient of an earlier order by number, and makes no new version of what is the same', async () => {
    await ask(message(order('NW', '1')));
    await ask(message(order('NW', '2')));
    const patients = await find<Patient>(
      'Patient',
      `identifier=https://prelim.example/fhir/NamingSystem/hl7v2/patient/HOSP|MRN${patient}`,
    );
    expect(patients.map((one) => one.version)).toEqual(['1']);
    const [first] = await filed();
    const [second] = await find<ServiceRequest>('ServiceRequest', `identifier=ACC${patient}-2`);
    expect(second!.subject).toEqual(first!.subject);
    expect(second!.encounter).toEqual(first!.encounter);
  });

  it('makes one patient of many first orders at once', async () => {
    const many = Array.from({ length: 8 }, (_, at) => ask(message(order('NW', String(at + 1)))));
    const codes = (await Promise.all(many)).map(([ack]) => readAck(ack!)!.code);
    expect(codes).toEqual(Array.from({ length: 8 }, () => 'AA'));
    expect(await find('Patient', `identifier=MRN${patient}`)).toHaveLength(1);
    expect(
      await find('ServiceRequest', `identifier=RP1&subject:Patient.identifier=MRN${patient}`),
    ).toHaveLength(8);
  });

  it('files many orders at once, with one that is refused and one that is a repeat among them', async () => {
    const first = message(order(), 'MANY-0');
    await ask(first);
    const own = (n: number) =>
      message(order('NW', String(n)), `MANY-${n}`)
        .replaceAll(`MRN${patient}^`, `MRN${patient}-${n}^`)
        .replaceAll(`V${patient}^`, `V${patient}-${n}^`);
    const foreign = own(1).replace('MANY-1', 'MANY-X').replace('MRN', 'OTHER');
    const others = Array.from({ length: 20 }, (_, at) => own(at + 2));
    const answers = await Promise.all([own(99), ...others, foreign, first].map(ask));
    const codes = answers.map(([ack]) => readAck(ack!)).map((ack) => `${ack!.controlId} ${ack!.code}`);
    const accepted = [99, ...others.map((_, at) => at + 2), 0].map((n) => `MANY-${n} AA`);
    expect(codes.toSorted()).toEqual([...accepted, 'MANY-X AR'].toSorted());
    expect(await rows('MANY-0')).toMatchObject([{ repeats: 1 }]);
    const [refused] = await rows('MANY-X');
    expect(refused).toMatchObject({ outcome: 'order.other-patient' });
    expect(readAck(refused!.ack)!.code).toBe('AR');
    expect(await find('Patient', `identifier=MRN${patient}-21`)).toHaveLength(1);
    expect(await find('Patient', `identifier=OTHER${patient}-1`)).toEqual([]);
  });

  it('files the others of a group when one of them breaks it', async () => {
    const broken = `BREAK${patient}`;
    const fragile = Object.assign(Object.create(store) as ResourceStore, {
      write: (...[tx, writes, ...rest]: Parameters<ResourceStore['write']>) =>
        JSON.stringify(writes).includes(broken)
          ? Promise.reject(new Error('full'))
          : store.write(tx, writes, ...rest),
    });
    const other = new OrderStep(database, fragile, new InboundMessageStore(), SITE);
    const numbered = (n: number, id = `GROUP${patient}-${n}`) =>
      message(order('NW', String(n)), id)
        .replaceAll(`MRN${patient}^`, `MRN${patient}-${n}^`)
        .replaceAll(`V${patient}^`, `V${patient}-${n}^`);
    const texts = [numbered(1), numbered(2), numbered(3).replace('DOE', broken), numbered(4)];
    const answers = await Promise.all(texts.map((text) => other.take(Buffer.from(text))));
    expect(answers.map(([ack]) => readAck(ack!)!.code)).toEqual(['AA', 'AA', 'AE', 'AA']);
    expect(await rows(`GROUP${patient}-3`)).toEqual([]);
    expect(await find('ServiceRequest', `identifier=ACC${patient}-4`)).toHaveLength(1);
  });

  it('uses a patient who came by FHIR with the same number, and the survivor of a merge', async () => {
    const system = 'https://prelim.example/fhir/NamingSystem/hl7v2/patient/HOSP';
    const identifier = [{ system, value: `MRN${patient}` }];
    await database.transaction((tx) =>
      store.write(tx, [
        {
          kind: 'update',
          resource: { resourceType: 'Patient', id: `survivor-${patient}`, name: [{ family: 'KEPT' }] },
        },
        {
          kind: 'update',
          resource: {
            resourceType: 'Patient',
            id: `retired-${patient}`,
            identifier,
            active: false,
            link: [{ type: 'replaced-by', other: { reference: `Patient/survivor-${patient}` } }],
          },
        },
      ]),
    );
    await ask(message(order()));
    expect((await filed())[0]!.subject.reference).toBe(`Patient/survivor-${patient}`);
    expect((await store.read('Patient', `survivor-${patient}`))!.versionId).toBe('1');
  });

  it('refuses an order number that belongs to another patient', async () => {
    await ask(message(order()));
    const foreign = message(order()).replace(`MRN${patient}`, `OTHER${patient}`);
    expect(await send(foreign)).toMatchObject({ code: 'AR', errorCode: '204' });
    expect(await find('Patient', `identifier=OTHER${patient}`)).toEqual([]);
  });

  it.each([
    [
      'an unreadable message',
      'MSH|^~\\&|OE|HOSP|||||OMI^O23|BAD1|P|2.5.1\rpid|1\r',
      '100',
      'hl7.segment-name',
    ],
    [
      'another message type',
      'MSH|^~\\&|OE|HOSP|||||ADT^A01|BAD2|P|2.5.1\rPID|1||1\r',
      '200',
      'hl7.unsupported-type',
    ],
    [
      'a message without patient number',
      'MSH|^~\\&|OE|HOSP|||||OMI^O23|BAD3|P|2.5.1\rPID|1\rORC|NW|1\r',
      '101',
      'hl7.missing',
    ],
  ])('rejects %s by name and keeps it', async (_, text, errorCode, outcome) => {
    const ack = await send(text);
    expect(ack).toMatchObject({ code: 'AR', errorCode });
    expect(await rows(ack!.controlId)).toMatchObject([{ outcome }]);
  });

  it('answers the messages of a batch one by one', async () => {
    const batch = `FHS|^~\\&|\rBHS|^~\\&|\r${message(order('NW', '1'), 'B1')}MSH|^~\\&|OE|HOSP|||||ADT^A01|B2|P|2.5.1\rBTS|2\rFTS|1\r`;
    const codes = (await ask(batch))
      .map((ack) => readAck(ack))
      .map((ack) => `${ack!.controlId} ${ack!.code}`);
    expect(codes).toEqual(['B1 AA', 'B2 AR']);
  });

  it('asks the sender to keep the message when it cannot be stored', async () => {
    const broken = {
      transaction: () => Promise.reject(new Error('the server closed the connection')),
    } as unknown as Database;
    const down = new OrderStep(broken, store, new InboundMessageStore(), SITE);
    for (const text of [message(order()), 'rubbish']) {
      const [ack] = await down.take(Buffer.from(text));
      expect(readAck(ack!)).toMatchObject({ code: 'AE', errorCode: '207' });
    }
  });

  it('leaves nothing behind when filing fails', async () => {
    const text = message(order(), 'HALF');
    const failing = Object.assign(Object.create(store) as ResourceStore, {
      write: () => Promise.reject(new Error('full')),
    });
    const [ack] = await new OrderStep(database, failing, new InboundMessageStore(), SITE).take(
      Buffer.from(text),
    );
    expect(readAck(ack!)!.code).toBe('AE');
    expect(await rows('HALF')).toEqual([]);
    expect(await send(text)).toMatchObject({ code: 'AA' });
  });
});

describe('The MLLP door with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prelim-door-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const HL7_TLS_CERT = file('cert.pem', TLS_SERVER.cert);
  const HL7_TLS_KEY = file('key.pem', TLS_SERVER.key);
  const HL7_TLS_CA = file('ca.pem', TLS_CLIENT.cert);
  const open = async (env: NodeJS.ProcessEnv) => {
    const door = new OrderListener(step, readSettings({ HL7_PORT: '0', ...env }), pino({ level: 'silent' }));
    await door.onApplicationBootstrap();
    onTestFinished(() => door.beforeApplicationShutdown());
    return door.port;
  };
  const sendTls = async (port: number, more: object = {}) => {
    const client = new MllpClient(new URL(`mllps://127.0.0.1:${port}`), {
      tls: { ca: TLS_SERVER.cert, ...more },
      ackTimeoutMs: 2_000,
    });
    onTestFinished(() => client.close());
    return client.send(Buffer.from(message(order(), `T${patient}`)), `T${patient}`);
  };

  it('takes orders over TLS, and in the clear no more', async () => {
    const port = await open({ HL7_TLS_CERT, HL7_TLS_KEY });
    expect(await sendTls(port)).toMatchObject({ code: 'AA' });
    await expect(sendOrder(port, message(order()), 2_000)).rejects.toThrow();
  });

  it('asks for a certificate of an authority that is named', async () => {
    const port = await open({ HL7_TLS_CERT, HL7_TLS_KEY, HL7_TLS_CA });
    await expect(sendTls(port)).rejects.toMatchObject({ code: 'hl7.connection' });
    expect(await sendTls(port, TLS_CLIENT)).toMatchObject({ code: 'AA' });
  });

  it('does not open with authorities alone', async () => {
    await expect(open({ HL7_TLS_CA })).rejects.toMatchObject({ code: 'config.invalid' });
  });
});
