import { describe, expect, it } from 'vitest';
import { orderMessage } from '../../../demo/order-message.ts';
import { type Hl7Message, readMessage } from '../../hl7/codec.ts';
import { readAccessionPlaces } from './accession-places.ts';
import { orderToResources } from './order-to-resources.ts';

const MSH = 'MSH|^~\\&|OE|HOSP|PRELIM|RAD|20260115101522||ORM^O01^ORM_O01|C1|P|2.5.1';
const PID = 'PID|1||MRN12345^^^HOSP^MR||DOE^JANE^Q^^^^L||19650214|F';
const PLACES = readAccessionPlaces('IPC-1,OBR-18');
const read = (message: Hl7Message, timeZone: string | null = 'Europe/Berlin', places = PLACES) =>
  orderToResources(message, { facility: message.get('MSH', 1, 4), timeZone }, places(message));
const parse = (...lines: string[]) => readMessage(Buffer.from(lines.join('\r')));
const map = (...lines: string[]) => read(parse(...lines));
const order = (...lines: string[]) => map(MSH, PID, ...lines).orders[0]!.request;
const numbers = (...lines: string[]) =>
  order(...lines).identifier!.map(
    (one) => `${one.type?.coding?.[0]?.code ?? one.system!.split('/').at(-1)} ${one.value}`,
  );

describe('The order of the demo', () => {
  const exam = {
    accession: 'PC000001',
    studyInstanceUid: '2.25.4711',
    patientId: 'PHANTOM-1',
    patientIdIssuer: 'PRELIM-PHANTOM',
    patientName: 'PHANTOM^CHEST',
    birthDate: '19600101',
    sex: 'F',
    modality: 'CT',
    procedure: '24627-2^CT Chest^LN',
  };
  const message = readMessage(Buffer.from(orderMessage(exam, 'C1', new Date('2026-01-15T10:15:22Z'))));

  it('has every value in the field of its meaning', () => {
    const at = (segment: string, field: number, component = 1) => message.get(segment, 1, field, component);
    expect({
      charset: at('MSH', 18),
      attending: at('PV1', 7, 2),
      visit: [at('PV1', 19), at('PV1', 19, 5)],
      start: at('TQ1', 7),
      priority: at('TQ1', 9),
      requester: [at('ORC', 12, 2), at('OBR', 16, 2)],
      accession: [at('OBR', 18), at('IPC', 1)],
      modality: [at('OBR', 24), at('IPC', 5)],
      study: at('IPC', 3),
    }).toEqual({
      charset: 'UNICODE UTF-8',
      attending: 'HOUSE',
      visit: ['VPC000001', 'VN'],
      start: '20260115101522+0000',
      priority: 'R',
      requester: ['HOUSE', 'HOUSE'],
      accession: ['PC000001', 'PC000001'],
      modality: ['CT', 'CT'],
      study: '2.25.4711',
    });
  });

  it('makes patient, visit and request, with nothing odd about it', () => {
    const { patient, encounter, orders, flags } = read(message, null);
    const serviceRequests = orders.map(({ request }) => request);
    expect(flags).toEqual([]);
    expect(patient).toMatchObject({ birthDate: '1960-01-01', gender: 'female' });
    expect(encounter?.identifier?.map((one) => [one.type?.coding?.[0]?.code, one.value])).toEqual([
      ['VN', 'VPC000001'],
    ]);
    expect(serviceRequests).toMatchObject([
      {
        requester: { identifier: { value: '1234' }, display: 'GREGORY HOUSE' },
        authoredOn: '2026-01-15T10:15:22+00:00',
        occurrenceDateTime: '2026-01-15T10:15:22+00:00',
        priority: 'routine',
      },
    ]);
    const accessions = serviceRequests[0]!.identifier!.filter(
      (one) => one.type?.coding?.[0]?.code === 'ACSN',
    );
    expect(accessions.map((one) => one.value)).toEqual(['PC000001']);
  });
});

describe('An order message as resources', () => {
  it('maps the patient with every number, its assigner as system', () => {
    const { patient } = map(
      MSH,
      'PID|1|EXT1|MRN12345^^^HOSP&1.2.3&ISO^MR~77^^^Clinic 2^PI||DOE&&&^JANE^Q^JR^DR^^L||196502141530|F|||1 Main St^Apt 2^Bonn^NW^53111^DE^H||^PRN^PH^^49^228^1234||de^German|M|||123-45-6789',
      'ORC|NW|1',
      'OBR|1',
    );
    expect(patient.identifier!.map((one) => [one.system, one.value, one.type?.coding?.[0]?.code])).toEqual([
      ['urn:oid:1.2.3', 'MRN12345', 'MR'],
      ['https://prelim.example/fhir/NamingSystem/hl7v2/patient/Clinic%202', '77', 'PI'],
      ['https://prelim.example/fhir/NamingSystem/hl7v2-from/patient/HOSP', 'EXT1', 'PT'],
      ['https://prelim.example/fhir/NamingSystem/hl7v2-from/patient/SSA', '123-45-6789', 'SS'],
    ]);
    expect(patient.name).toEqual([
      { use: 'official', family: 'DOE', given: ['JANE', 'Q'], prefix: ['DR'], suffix: ['JR'] },
    ]);
    expect(patient).toMatchObject({
      gender: 'female',
      birthDate: '1965-02-14',
      _birthDate: { extension: [{ valueDateTime: '1965-02-14T15:30:00+01:00' }] },
      address: [{ use: 'home', line: ['1 Main St', 'Apt 2'], city: 'Bonn', postalCode: '53111' }],
      telecom: [{ system: 'phone', value: '49 228 1234', use: 'home' }],
      maritalStatus: { text: 'M' },
    });
  });

  it('keeps the numbers of ORC and of OBR, one where they agree and both with a flag where they differ', () => {
    expect(numbers('ORC|NW|P1^OE|F1^RIS', 'OBR|1|P1^OE|F1^RIS')).toEqual(['PLAC P1', 'FILL F1']);
    expect(numbers('ORC|NW||', 'OBR|1|P1^OE|F1^RIS')).toEqual(['PLAC P1', 'FILL F1']);
    expect(numbers('ORC|NW|P1^OE', 'OBR|1|P2^OE')).toEqual(['PLAC P1', 'PLAC P2']);
    expect(map(MSH, PID, 'ORC|NW|P1^OE', 'OBR|1|P2^OE').flags).toEqual(['two-placer-numbers']);
  });

  it('takes accession, procedure and step from OBR-18 to OBR-20, and the study from ZDS', () => {
    const obr = 'OBR|1|P1^OE||71046^XR chest^C4||||||||||||||ACC1|RP1|SPS1';
    expect(numbers('ORC|NW|P1^OE', obr, 'ZDS|1.2.3.4^100^Application^DICOM')).toEqual([
      'PLAC P1',
      'ACSN ACC1',
      'urn:dicom:uid urn:oid:1.2.3.4',
      'requested-procedure RP1',
      'scheduled-procedure-step SPS1',
    ]);
  });

  it('lets an IPC segment outrank OBR-18 and OBR-19', () => {
    const found = order(
      'ORC|NW|P1^OE',
      'OBR|1|||||||||||||||||OLD|OLDRP',
      'IPC|NEW|NEWRP|1.2.3|S1|CT|P^Protocol^L',
    );
    const values = found.identifier!.map((one) => one.value);
    expect(values).toEqual(['P1', 'NEW', 'urn:oid:1.2.3', 'NEWRP', 'S1']);
    expect(found.orderDetail?.map((one) => one.text)).toEqual(['CT', 'Protocol']);
  });

  it('gives one ZDS at the end to all orders of one accession, and to no other', () => {
    const two = (second: string) =>
      map(
        MSH,
        PID,
        'ORC|NW|P1',
        'OBR|1|||||||||||||||||ACC1',
        'ORC|NW|P2',
        `OBR|2|||||||||||||||||${second}`,
        'ZDS|1.2.3',
      );
    const uids = (result: ReturnType<typeof two>) =>
      result.orders.map(({ request }) => request.identifier!.some((id) => id.value === 'urn:oid:1.2.3'));
    expect(uids(two('ACC1'))).toEqual([true, true]);
    expect(uids(two('ACC2'))).toEqual([false, true]);
  });

  it.each([
    ['NW', '', 'active'],
    ['XO', 'IP', 'active'],
    ['SC', 'CM', 'completed'],
    ['SC', 'HD', 'on-hold'],
    ['NW', 'Scheduled', 'active'],
    ['CA', 'SC', 'revoked'],
    ['DC', '', 'revoked'],
    ['OC', 'IP', 'revoked'],
    ['HD', '', 'on-hold'],
    ['RL', '', 'active'],
    ['SN', '', 'active'],
    ['OE', 'HD', 'active'],
    ['OR', 'HD', 'active'],
    ['OH', '', 'on-hold'],
    ['HR', 'IP', 'on-hold'],
    ['OD', 'IP', 'revoked'],
    ['CR', '', 'revoked'],
    ['DR', '', 'revoked'],
    ['RP', '', 'revoked'],
    ['RQ', 'IP', 'revoked'],
    ['RU', 'SC', 'revoked'],
    ['RO', '', 'active'],
    ['UA', 'SC', 'revoked'],
    ['UC', '', 'active'],
    ['UC', 'CM', 'completed'],
    ['UH', '', 'active'],
    ['UR', '', 'on-hold'],
    ['nw', '', 'active'],
  ])('with ORC-1 %s and ORC-5 "%s" the order is %s', (control, status, expected) => {
    expect(order(`ORC|${control}|P1|||${status}`, 'OBR|1').status).toBe(expected);
  });

  it.each(['XO', 'XX', 'XR', 'SC', 'SR', 'CH', 'PA', 'NA', 'OK', 'UX'])(
    'with ORC-1 %s and nothing in ORC-5 a known order keeps its status, with a status there it has that',
    (control) => {
      const says = (status: string) => {
        const [found] = map(MSH, PID, `ORC|${control}|P1|||${status}`, 'OBR|1').orders;
        return [found?.saysStatus, found?.request.status];
      };
      expect(says('')).toEqual([false, 'active']);
      expect(says('CM')).toEqual([true, 'completed']);
    },
  );

  it('leaves out results that come with a new order for comparison, and says so', () => {
    const lines = ['ORC|NW|P1', 'OBR|1', 'PID|1||OTHER', 'ORC|PR|P0', 'OBR|1|P0', 'OBX|1|TX|1||old||||||F'];
    const { orders, flags, patient } = map(MSH, PID, ...lines);
    expect(orders.map(({ request }) => request.identifier?.[0]?.value)).toEqual(['P1']);
    expect(patient.identifier?.[0]?.value).toBe('MRN12345');
    expect(flags).toEqual(['prior-results']);
  });

  it('maps code, reason, priority, times in the zone of the site, and who asked', () => {
    const found = order(
      'ORC|NW|P1^OE||G1^OE|||^^^^^S||20260115093000|||1234^HOUSE^GREGORY^^^DR',
      'OBR|1|||36643-5^XR Chest 2 Views^LN^CXR2^Chest^L||20260715100000|||||||||||||||||||||||||R05^Cough^I10',
      'NTE|1||Line 1~Line 2',
    );
    expect(found).toMatchObject({
      code: {
        coding: [
          { system: 'http://loinc.org', code: '36643-5' },
          { code: 'CXR2', display: 'Chest' },
        ],
        text: 'XR Chest 2 Views',
      },
      reasonCode: [
        {
          coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'R05', display: 'Cough' }],
          text: 'Cough',
        },
      ],
      requisition: { value: 'G1' },
      priority: 'stat',
      authoredOn: '2026-01-15T09:30:00+01:00',
      occurrenceDateTime: '2026-07-15T10:00:00+02:00',
      requester: { display: 'DR GREGORY HOUSE', identifier: { value: '1234' } },
      note: [{ text: 'Line 1\nLine 2' }],
    });
  });

  it('takes county, former names, twins, kind and source of the visit, why an order was cancelled and what the reader should know', () => {
    const { patient, encounter, orders } = map(
      MSH,
      'PID|1||7^^^HOSP^MR||DOE^JANE^^^^^L||19650214|F|ROE^JANE||1 Main St^^Bonn|Rhein-Sieg||||||||||||Y|2',
      'PV1|1|I|W3|R|PRE1^^^HOSP|||||MED||||7|||||V1^^^HOSP^VN|||||||||||||||||01||||||||||||||ALT9^^^HOSP~V1^^^HOSP^VN||88^LEE^ANN',
      'ORC|CA|P1^OE||||||||||||||ALLERGY^Contrast allergy^L',
      'OBR|1|P1^OE|||||||||||Fell from a ladder',
      'NTE|1||Short of breath',
    );
    expect(patient).toMatchObject({
      name: [
        { use: 'official', family: 'DOE' },
        { use: 'old', family: 'ROE' },
      ],
      address: [{ city: 'Bonn', district: 'Rhein-Sieg' }],
      multipleBirthInteger: 2,
    });
    expect(encounter).toMatchObject({
      identifier: [{ value: 'V1' }, { value: 'ALT9' }],
      type: [{ text: 'R' }],
      serviceType: { text: 'MED' },
      hospitalization: {
        preAdmissionIdentifier: { value: 'PRE1' },
        admitSource: { text: '7' },
        dischargeDisposition: { text: '01' },
      },
      location: [{ status: 'active' }],
      participant: [{ type: [{ coding: [{ code: 'PART' }] }], individual: { display: 'ANN LEE' } }],
    });
    expect(orders[0]?.request).toMatchObject({
      status: 'revoked',
      extension: [{ valueCodeableConcept: { text: 'Contrast allergy' } }],
      note: [{ text: 'Fell from a ladder' }, { text: 'Short of breath' }],
    });
  });

  it('makes an encounter of a visit with a number and none of one without', () => {
    const withVisit = map(
      MSH,
      PID,
      'PV1|1|E|ED^12^A^HOSP||||77^ATT^END||||||||||||V1^^^HOSP^VN',
      'ORC|NW|1',
      'OBR|1',
    );
    expect(withVisit.encounter).toMatchObject({
      status: 'in-progress',
      class: { code: 'EMER' },
      identifier: [{ value: 'V1', type: { coding: [{ code: 'VN' }] } }],
      location: [{ location: { display: 'ED 12 A HOSP', identifier: { value: 'ED^12^A^HOSP' } } }],
      participant: [{ individual: { display: 'END ATT' } }],
    });
    const without = map(MSH, PID, 'PV1|1|E|ED', 'ORC|NW|1', 'OBR|1');
    expect([without.encounter, without.flags]).toEqual([undefined, ['visit-without-number']]);
  });

  it('leaves out what cannot be read and says so, and never writes an empty element', () => {
    const result = map(MSH, 'PID|1||7^^^HOSP^MR||""||Aug 15, 1942|X|||""^^^', 'ORC|NW|1', 'OBR|1|||""');
    expect(result.flags).toEqual(['birth-date-unreadable', 'delete-ignored']);
    expect(Object.keys(result.patient)).toEqual(['resourceType', 'identifier']);
    expect(JSON.stringify([result.patient, result.orders[0]!.request])).not.toMatch(/""|\[\]|\{\}|null/);
  });

  it.each([
    ['no patient', [MSH, 'ORC|NW|1'], 'hl7.missing', 'PID'],
    ['no patient number', [MSH, 'PID|1||^^^HOSP^MR', 'ORC|NW|1'], 'hl7.missing', 'PID^1^3'],
    ['no order', [MSH, PID], 'hl7.missing', 'ORC'],
    ['no number of the order', [MSH, PID, 'ORC|NW', 'OBR|1'], 'hl7.missing', 'ORC^1^2'],
    ['only results of before', [MSH, PID, 'ORC|PR|1', 'OBR|1'], 'hl7.missing', 'ORC'],
    ['a question for the status', [MSH, PID, 'ORC|SS|1', 'OBR|1'], 'hl7.value', 'ORC^1^1'],
    ['a result as order', [MSH, PID, 'ORC|RE|1', 'OBR|1'], 'hl7.value', 'ORC^1^1'],
    ['no order control', [MSH, PID, 'ORC||1', 'OBR|1'], 'hl7.value', 'ORC^1^1'],
  ])('refuses %s by name and place', (_, lines, code, at) => {
    expect(() => map(...lines)).toThrow(
      expect.objectContaining({ code, issues: [expect.objectContaining({ at })] }),
    );
  });
});

describe('The zone of the site', () => {
  it('keeps the date alone of times without a zone, when the site has named none', () => {
    const lines = [
      MSH,
      PID.replace('19650214', '196502140830'),
      'PV1|1|E|||||||||||||||||V1|||||||||||||||||||||||||20260115080000',
      'ORC|NW|P1^OE|||||||20260115093000',
      'OBR|1|||||20260116101500-0500',
    ].join('\r');
    const { patient, encounter, orders } = read(readMessage(Buffer.from(lines)), null);
    expect(patient.birthDate).toBe('1965-02-14');
    expect(patient).not.toHaveProperty('_birthDate');
    expect(encounter?.period).toEqual({ start: '2026-01-15' });
    expect(orders[0]!.request).toMatchObject({
      authoredOn: '2026-01-15',
      occurrenceDateTime: '2026-01-16T10:15:00-05:00',
    });
  });
});
