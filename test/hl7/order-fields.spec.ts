import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../src/hl7/codec.ts';
import { readAccessionPlaces } from '../../src/steps/filing/accession-places.ts';
import { orderToResources } from '../../src/steps/filing/order-to-resources.ts';

/** One order with every field that is taken; fields by their number. */
const FULL: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  PID: {
    2: 'EXT1',
    3: 'MRN1^^^HOSP^MR^^20200101^20301231',
    4: 'ALT1',
    5: 'DOE^JANE^Q^JR^DR^^L',
    6: 'SMITH^ANNA',
    7: '196502141530+0100',
    8: 'F',
    9: 'ROE^JANE',
    10: '2106-3^White^HL70005~X^Other^L',
    11: '1 Main St^Apt 2^Bonn^NW^53111^DE^H',
    12: 'Rhein-Sieg',
    13: '^PRN^CP^^49^170^1234',
    14: '(02 28) 99-1^WPN^FX',
    15: 'de^German^ISO639',
    16: 'M^Married^HL70002',
    17: 'CAT^Catholic^HL70006',
    18: 'ACC-7^^^HOSP',
    19: '123-45-6789',
    20: 'B0721^DE^20301231',
    22: 'N^Not Hispanic^HL70189',
    23: 'Bonn',
    24: 'Y',
    25: '2',
    26: 'DEU^Germany^ISO3166',
    28: 'FRA^France^ISO3166',
    29: '20260201',
    30: 'Y',
    35: '337915000^Human^SCT',
    36: 'P^Pug^L',
    39: '91^Fort Mojave^L',
    40: '^NET^Internet^jane@doe.example',
  },
  PV1: {
    2: 'I',
    3: 'W3^12^A^HOSP&1.2.3&ISO^^N^B2^4',
    4: 'E^Emergency^HL70007',
    5: 'PRE1',
    6: 'ED^1',
    7: '77^ATT^END',
    8: '78^REF^ERR',
    9: '79^CON^SULT',
    10: 'MED^Medicine^HL70069',
    11: 'XRAY^2',
    13: 'R^Readmission^HL70092',
    14: '7^Emergency room^HL70023',
    15: 'A2^Wheelchair^HL70009~B6^Pregnant^HL70009',
    16: 'VIP^Very important^HL70099',
    17: '80^ADM^IT',
    18: 'S^Self payer^L',
    19: 'V1^^^HOSP',
    36: '01^Home^HL70112',
    37: 'Care home South',
    38: 'D^Diabetic^HL70114',
    42: 'W4^3',
    43: 'OP^9',
    44: '20260110080000+0100',
    45: '20260120080000+0100',
    50: 'ALTV',
    52: '88^LEE^ANN',
  },
  PV2: { 3: 'R06^Dyspnoea^I10' },
  ORC: {
    1: 'NW',
    2: 'P1^OE',
    3: 'F1^RIS',
    4: 'G1^OE',
    5: 'HD',
    7: '^^^20260119^^A',
    8: 'PP&OE^PF&RIS',
    9: '20260115093000+0100',
    12: '1234^HOUSE^GREGORY',
    14: '^WPN^PH^^^228^55',
    16: 'X^Contrast allergy^L',
    21: 'Ward Three^^77',
    28: 'R^Restricted^HL70177',
    29: 'I^Inpatient^HL70482',
    33: 'ALTP^^^OE',
  },
  TQ1: { 7: '20260118100000+0100', 9: 'S' },
  OBR: {
    2: 'P1^OE',
    3: 'F1^RIS',
    4: '36643-5^XR Chest 2 Views^LN',
    5: 'A',
    6: '20260117100000+0100',
    12: 'MRSA^Isolation^L',
    13: 'Fell from a ladder',
    15: '^^^LUNG&Lung&L^LT&Left&HL70163',
    16: '9^OTHER^DOC',
    17: '^WPN^PH^^^30^99',
    18: 'ACC1',
    19: 'RP9',
    20: 'SPS9',
    24: 'RAD',
    27: '^^^20260116^^R',
    28: '55^COPY^CARL~56^COPY^CLARA',
    29: 'QP&OE',
    30: 'WHLC^Wheelchair^HL70124',
    31: 'R05^Cough^I10',
    36: '20260121',
    44: '71046^Two views^C4',
    45: 'LT^Left^C4',
    46: 'PORT^Portable^L',
    47: 'GRID^With grid^L',
    53: 'ALTO^^^OE',
  },
  DG1: {
    3: 'J18.9^Pneumonia^I10',
    4: 'Pneumonia, lower lobe',
    5: '20260112',
    6: 'W',
    16: '12^WHO^SAID',
    18: 'Y',
    19: '20260113',
    20: 'DG-1^HIS',
  },
  OBX: {
    2: 'NM',
    3: '2160-0^Creatinine^LN',
    4: '1',
    5: '1.3~1.4',
    6: 'mg/dL^mg/dL^UCUM',
    7: '0.6-1.2',
    8: 'H~U',
    11: 'F',
    14: '20260114080000+0100',
    15: 'LAB9^Laboratory Nine',
    16: '99^LAB^TECH',
    17: 'M^Enzymatic^L',
    18: 'ANALYSER-1',
    20: 'BLD^Blood^L',
    21: 'OBS-1^LIS',
    23: 'Central laboratory',
  },
  NTE: { 3: 'Sample was late', 5: '99^LAB^TECH', 6: '20260114090000+0100' },
  IPC: {
    1: 'ACC2',
    2: 'RP1',
    3: '1.2.3',
    4: 'SPS1',
    5: 'DX^X-ray^DCM',
    6: 'P1^PA and lateral^L',
    7: 'ROOM1',
    8: 'XR^X-ray department^L',
    9: 'AE1',
  },
  ZDS: { 1: '1.2.4' },
};

/** Fields to leave out, or to fill with something else. */
type Change = Readonly<Record<string, string>>;

function mapped(change: Change = {}) {
  const segment = (name: string) => {
    const fields = { ...FULL[name] };
    for (const [at, text] of Object.entries(change))
      if (at.startsWith(`${name}-`)) fields[Number(at.split('-')[1])] = text;
    const last = Math.max(...Object.keys(fields).map(Number));
    return [name, ...Array.from({ length: last }, (_, n) => fields[n + 1] ?? '')].join('|');
  };
  const names = Object.keys(FULL).filter((name) => change[name] !== '');
  const head = 'MSH|^~\\&|OE|HOSP|PRELIM|RAD|20260115101522||OMI^O23^OMI_O23|C1|P|2.5.1';
  const message = readMessage(Buffer.from([head, ...names.map(segment)].join('\r')));
  const places = readAccessionPlaces('IPC-1,OBR-18');
  const { patient, encounter, orders, flags } = orderToResources(
    message,
    { facility: 'HOSP', timeZone: null },
    places(message),
  );
  const { request, supporting } = orders[0]!;
  return {
    patient,
    encounter: encounter!,
    request,
    condition: supporting.diagnoses[0]!.resource,
    observation: supporting.results[0]!.resource,
    flags,
  };
}
type Mapped = ReturnType<typeof mapped>;

const V2 = 'http://terminology.hl7.org/CodeSystem/v2-';
const extension = (of: { extension?: { url: string }[] }, name: string) =>
  of.extension?.filter(({ url }) => url.endsWith(`/${name}`)).map(({ url: _, ...rest }) => rest);
const numbers = (of: {
  identifier?: { type?: { coding?: { code?: string }[] }; system?: string; value?: string }[];
}) =>
  of.identifier?.map((one) => `${one.type?.coding?.[0]?.code ?? one.system?.split('/').at(-1)} ${one.value}`);
const birthTime = (patient: object) =>
  (patient as { _birthDate?: { extension: { valueDateTime: string }[] } })._birthDate?.extension[0]
    ?.valueDateTime;
const texts = (all: readonly { text?: string }[] | undefined) => all?.map(({ text }) => text);
const participant = (all: Mapped, code: string) =>
  all.encounter.participant?.find(({ type }) => type?.[0]?.coding?.[0]?.code === code)?.individual?.display;
const place = (all: Mapped, at: number) => [
  all.encounter.location?.[at]?.location.display,
  all.encounter.location?.[at]?.status,
];

type Check = readonly [field: string, look: (all: Mapped) => unknown, expected: unknown, change?: Change];

/** One row a field: what is looked at, what it must be, and where another field would hide it, the message without that. */
const CHECKS: readonly Check[] = [
  ['PID-2', ({ patient }) => numbers(patient), expect.arrayContaining(['PT EXT1'])],
  [
    'PID-3',
    ({ patient }) => patient.identifier?.[0],
    {
      type: { coding: [{ system: `${V2}0203`, code: 'MR' }] },
      system: 'https://prelim.example/fhir/NamingSystem/hl7v2/patient/HOSP',
      value: 'MRN1',
      period: { start: '2020-01-01', end: '2030-12-31' },
      assigner: { display: 'HOSP' },
    },
  ],
  ['PID-4', ({ patient }) => numbers(patient), expect.arrayContaining(['PT ALT1'])],
  [
    'PID-5',
    ({ patient }) => patient.name?.[0],
    { use: 'official', family: 'DOE', given: ['JANE', 'Q'], prefix: ['DR'], suffix: ['JR'] },
  ],
  ['PID-6', ({ patient }) => extension(patient, 'patient-mothersMaidenName'), [{ valueString: 'SMITH' }]],
  [
    'PID-7',
    ({ patient }) => [patient.birthDate, birthTime(patient)],
    ['1965-02-14', '1965-02-14T15:30:00+01:00'],
  ],
  ['PID-8', ({ patient }) => patient.gender, 'female'],
  ['PID-9', ({ patient }) => patient.name?.[1], { use: 'old', family: 'ROE', given: ['JANE'] }],
  [
    'PID-10',
    ({ patient }) => extension(patient, 'us-core-race'),
    [
      {
        extension: [
          {
            url: 'ombCategory',
            valueCoding: { system: 'urn:oid:2.16.840.1.113883.6.238', code: '2106-3', display: 'White' },
          },
          { url: 'text', valueString: 'White, Other' },
        ],
      },
    ],
  ],
  [
    'PID-11',
    ({ patient }) => patient.address?.[0],
    {
      use: 'home',
      line: ['1 Main St', 'Apt 2'],
      city: 'Bonn',
      state: 'NW',
      postalCode: '53111',
      country: 'DE',
      district: 'Rhein-Sieg',
    },
  ],
  ['PID-12', ({ patient }) => patient.address?.[0]?.district, 'Rhein-Sieg'],
  ['PID-13', ({ patient }) => patient.telecom?.[0], { system: 'phone', value: '49 170 1234', use: 'mobile' }],
  ['PID-14', ({ patient }) => patient.telecom?.[1], { system: 'fax', value: '(02 28) 99-1', use: 'work' }],
  ['PID-15', ({ patient }) => patient.communication?.[0]?.language.coding?.[0]?.code, 'de'],
  ['PID-16', ({ patient }) => patient.maritalStatus?.text, 'Married'],
  [
    'PID-17',
    ({ patient }) => extension(patient, 'patient-religion'),
    [{ valueCodeableConcept: expect.objectContaining({ text: 'Catholic' }) }],
  ],
  ['PID-18', ({ encounter }) => numbers(encounter), expect.arrayContaining(['AN ACC-7'])],
  ['PID-19', ({ patient }) => numbers(patient), expect.arrayContaining(['SS 123-45-6789'])],
  [
    'PID-20',
    ({ patient }) => patient.identifier?.find(({ value }) => value === 'B0721'),
    {
      type: { coding: [{ system: `${V2}0203`, code: 'DL' }] },
      system: 'https://prelim.example/fhir/NamingSystem/hl7v2/licence/DE',
      value: 'B0721',
      period: { end: '2030-12-31' },
      assigner: { display: 'DE' },
    },
  ],
  [
    'PID-22',
    ({ patient }) => extension(patient, 'us-core-ethnicity'),
    [
      {
        extension: [
          {
            url: 'ombCategory',
            valueCoding: {
              system: 'urn:oid:2.16.840.1.113883.6.238',
              code: '2186-5',
              display: 'Not Hispanic or Latino',
            },
          },
          { url: 'text', valueString: 'Not Hispanic' },
        ],
      },
    ],
  ],
  ['PID-23', ({ patient }) => extension(patient, 'patient-birthPlace'), [{ valueAddress: { text: 'Bonn' } }]],
  ['PID-24', ({ patient }) => patient.multipleBirthBoolean, true, { 'PID-25': '' }],
  ['PID-25', ({ patient }) => [patient.multipleBirthInteger, patient.multipleBirthBoolean], [2, undefined]],
  [
    'PID-26',
    ({ patient }) => extension(patient, 'patient-citizenship')?.[0],
    { extension: [{ url: 'code', valueCodeableConcept: expect.objectContaining({ text: 'Germany' }) }] },
  ],
  [
    'PID-28',
    ({ patient }) => extension(patient, 'patient-nationality'),
    [{ extension: [{ url: 'code', valueCodeableConcept: expect.objectContaining({ text: 'France' }) }] }],
  ],
  ['PID-29', ({ patient }) => [patient.deceasedDateTime, patient.deceasedBoolean], ['2026-02-01', undefined]],
  ['PID-30', ({ patient }) => patient.deceasedBoolean, true, { 'PID-29': '' }],
  [
    'PID-35',
    ({ patient }) => extension(patient, 'patient-animal'),
    [
      {
        extension: [
          { url: 'species', valueCodeableConcept: expect.objectContaining({ text: 'Human' }) },
          { url: 'breed', valueCodeableConcept: expect.objectContaining({ text: 'Pug' }) },
        ],
      },
    ],
  ],
  ['PID-36', ({ patient }) => extension(patient, 'patient-animal'), [], { 'PID-35': '' }],
  [
    'PID-39',
    ({ patient }) => extension(patient, 'patient-citizenship')?.[1],
    { extension: [{ url: 'code', valueCodeableConcept: expect.objectContaining({ text: 'Fort Mojave' }) }] },
  ],
  ['PID-40', ({ patient }) => patient.telecom?.[2], { system: 'email', value: 'jane@doe.example' }],

  [
    'PV1-2',
    ({ encounter }) => [encounter.class.code, encounter.status],
    ['IMP', 'in-progress'],
    { 'PV1-45': '' },
  ],
  [
    'PV1-3',
    (all) => [...place(all, 0), all.encounter.location?.[0]?.location.identifier?.value],
    ['W3 12 A HOSP', 'active', 'W3^12^A^HOSP&1.2.3&ISO^^N^B2^4'],
  ],
  ['PV1-4', ({ encounter }) => encounter.type?.[0]?.text, 'Emergency'],
  ['PV1-5', ({ encounter }) => encounter.hospitalization?.preAdmissionIdentifier?.value, 'PRE1'],
  ['PV1-6', (all) => place(all, 3), ['ED 1', 'completed']],
  ['PV1-7', (all) => participant(all, 'ATND'), 'END ATT'],
  ['PV1-8', (all) => participant(all, 'REF'), 'ERR REF'],
  ['PV1-9', (all) => participant(all, 'CON'), 'SULT CON'],
  ['PV1-10', ({ encounter }) => encounter.serviceType?.text, 'Medicine'],
  ['PV1-11', (all) => place(all, 1), ['XRAY 2', 'active']],
  ['PV1-13', ({ encounter }) => encounter.hospitalization?.reAdmission?.text, 'Readmission'],
  ['PV1-14', ({ encounter }) => encounter.hospitalization?.admitSource?.text, 'Emergency room'],
  [
    'PV1-15',
    ({ encounter }) => texts(encounter.hospitalization?.specialArrangement),
    ['Wheelchair', 'Pregnant'],
  ],
  ['PV1-16', ({ encounter }) => texts(encounter.hospitalization?.specialCourtesy), ['Very important']],
  ['PV1-17', (all) => participant(all, 'ADM'), 'IT ADM'],
  ['PV1-18', ({ encounter }) => encounter.type?.[1]?.text, 'Self payer'],
  ['PV1-19', ({ encounter }) => numbers(encounter)?.[0], 'VN V1'],
  ['PV1-36', ({ encounter }) => encounter.hospitalization?.dischargeDisposition?.text, 'Home'],
  ['PV1-37', ({ encounter }) => encounter.hospitalization?.destination, { display: 'Care home South' }],
  ['PV1-38', ({ encounter }) => texts(encounter.hospitalization?.dietPreference), ['Diabetic']],
  ['PV1-42', (all) => place(all, 2), ['W4 3', 'reserved']],
  ['PV1-43', (all) => place(all, 4), ['OP 9', 'completed']],
  ['PV1-44', ({ encounter }) => encounter.period?.start, '2026-01-10T08:00:00+01:00'],
  [
    'PV1-45',
    ({ encounter }) => [encounter.period?.end, encounter.status],
    ['2026-01-20T08:00:00+01:00', 'finished'],
  ],
  ['PV1-50', ({ encounter }) => encounter.identifier?.map(({ value }) => value), ['V1', 'ACC-7', 'ALTV']],
  ['PV1-52', (all) => participant(all, 'PART'), 'ANN LEE'],
  ['PV2-3', ({ encounter }) => texts(encounter.reasonCode), ['Dyspnoea']],

  ['ORC-1', ({ request }) => request.status, 'active', { 'ORC-5': '' }],
  ['ORC-2', ({ request }) => numbers(request), expect.arrayContaining(['PLAC P1']), { 'OBR-2': '' }],
  ['ORC-3', ({ request }) => numbers(request), expect.arrayContaining(['FILL F1']), { 'OBR-3': '' }],
  ['ORC-4', ({ request }) => request.requisition?.value, 'G1'],
  ['ORC-5', ({ request }) => request.status, 'on-hold'],
  [
    'ORC-7',
    ({ request }) => [request.occurrenceDateTime, request.priority],
    ['2026-01-19', 'asap'],
    { TQ1: '', 'OBR-5': '', 'OBR-6': '', 'OBR-27': '' },
  ],
  [
    'ORC-8',
    ({ request }) => request.basedOn?.map(({ type, identifier }) => `${type} ${identifier?.value}`),
    ['ServiceRequest PP', 'ServiceRequest PF'],
  ],
  ['ORC-9', ({ request }) => request.authoredOn, '2026-01-15T09:30:00+01:00'],
  [
    'ORC-12',
    ({ request }) => [request.requester?.display, request.requester?.identifier?.value],
    ['GREGORY HOUSE', '1234'],
  ],
  [
    'ORC-14',
    ({ request }) => extension(request, 'servicerequest-order-callback-phone-number'),
    [{ valueContactPoint: { system: 'phone', value: '228 55', use: 'work' } }],
  ],
  [
    'ORC-16',
    ({ request }) => extension(request, 'request-statusReason'),
    [{ valueCodeableConcept: expect.objectContaining({ text: 'Contrast allergy' }) }],
  ],
  [
    'ORC-21',
    ({ request }) => request.requester,
    {
      type: 'Organization',
      identifier: {
        system: 'https://prelim.example/fhir/NamingSystem/hl7v2-from/organization/HOSP',
        value: '77',
      },
      display: 'Ward Three',
    },
    { 'ORC-12': '', 'OBR-16': '' },
  ],
  ['ORC-28', ({ request }) => request.meta?.security?.[0]?.code, 'R'],
  ['ORC-29', ({ request }) => texts(request.locationCode), ['Inpatient']],
  [
    'ORC-33',
    ({ request }) => request.identifier?.map(({ value }) => value),
    expect.arrayContaining(['ALTP']),
  ],

  ['OBR-2', ({ request }) => numbers(request), expect.arrayContaining(['PLAC P1']), { 'ORC-2': '' }],
  ['OBR-3', ({ request }) => numbers(request), expect.arrayContaining(['FILL F1']), { 'ORC-3': '' }],
  [
    'OBR-4',
    ({ request }) => request.code,
    {
      coding: [{ system: 'http://loinc.org', code: '36643-5', display: 'XR Chest 2 Views' }],
      text: 'XR Chest 2 Views',
    },
  ],
  ['OBR-5', ({ request }) => request.priority, 'asap', { TQ1: '' }],
  ['OBR-6', ({ request }) => request.occurrenceDateTime, '2026-01-17T10:00:00+01:00'],
  ['OBR-12', ({ request }) => request.note?.[0], { text: 'Danger code: Isolation' }],
  ['OBR-13', ({ request }) => request.note?.[1], { text: 'Fell from a ladder' }],
  [
    'OBR-15',
    ({ request }) => [texts(request.bodySite), request.bodySite?.[0]?.coding?.map(({ code }) => code)],
    [['Lung, Left'], ['LUNG', 'LT']],
  ],
  ['OBR-16', ({ request }) => request.requester?.display, 'DOC OTHER', { 'ORC-12': '' }],
  [
    'OBR-17',
    ({ request }) => extension(request, 'servicerequest-order-callback-phone-number'),
    [{ valueContactPoint: { system: 'phone', value: '30 99', use: 'work' } }],
    { 'ORC-14': '' },
  ],
  ['OBR-18', ({ request }) => numbers(request), expect.arrayContaining(['ACSN ACC1']), { IPC: '' }],
  [
    'OBR-19',
    ({ request }) => numbers(request),
    expect.arrayContaining(['requested-procedure RP9']),
    { IPC: '' },
  ],
  [
    'OBR-20',
    ({ request }) => numbers(request),
    expect.arrayContaining(['scheduled-procedure-step SPS9']),
    { IPC: '' },
  ],
  ['OBR-24', ({ request }) => request.category?.map(({ coding }) => coding?.[0]?.code), ['363679005', 'RAD']],
  [
    'OBR-27',
    ({ request }) => [request.occurrenceDateTime, request.priority],
    ['2026-01-16', 'routine'],
    { TQ1: '', 'OBR-5': '', 'OBR-6': '' },
  ],
  [
    'OBR-28',
    ({ request }) =>
      extension(request, 'result-copies-to')?.map(
        (one) => (one as { valueReference: { display: string } }).valueReference.display,
      ),
    ['CARL COPY', 'CLARA COPY'],
  ],
  [
    'OBR-29',
    ({ request }) => request.basedOn?.map(({ identifier }) => identifier?.value),
    ['QP'],
    { 'ORC-8': '' },
  ],
  ['OBR-30', ({ request }) => texts(request.orderDetail), expect.arrayContaining(['Wheelchair'])],
  [
    'OBR-31',
    ({ request }) => request.reasonCode?.[0]?.coding?.[0],
    { system: 'http://hl7.org/fhir/sid/icd-10', code: 'R05', display: 'Cough' },
  ],
  [
    'OBR-36',
    ({ request }) => request.occurrenceDateTime,
    '2026-01-21',
    { TQ1: '', 'OBR-6': '', 'OBR-27': '', 'ORC-7': '' },
  ],
  ['OBR-44', ({ request }) => texts(request.orderDetail), expect.arrayContaining(['Two views'])],
  ['OBR-45', ({ request }) => texts(request.orderDetail), expect.arrayContaining(['Left'])],
  ['OBR-46', ({ request }) => texts(request.orderDetail), expect.arrayContaining(['Portable'])],
  ['OBR-47', ({ request }) => texts(request.orderDetail), expect.arrayContaining(['With grid'])],
  [
    'OBR-53',
    ({ request }) => request.identifier?.map(({ value }) => value),
    expect.arrayContaining(['ALTO']),
  ],

  ['TQ1-7', ({ request }) => request.occurrenceDateTime, '2026-01-18T10:00:00+01:00', { 'OBR-6': '' }],
  ['TQ1-9', ({ request }) => request.priority, 'stat'],
  ['IPC-1', ({ request }) => numbers(request)?.filter((one) => one.startsWith('ACSN')), ['ACSN ACC2']],
  ['IPC-2', ({ request }) => numbers(request), expect.arrayContaining(['requested-procedure RP1'])],
  [
    'IPC-3',
    ({ request }) => request.identifier,
    expect.arrayContaining([{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }]),
  ],
  ['IPC-4', ({ request }) => numbers(request), expect.arrayContaining(['scheduled-procedure-step SPS1'])],
  ['IPC-5', ({ request }) => request.orderDetail?.[0]?.coding?.[0]?.code, 'DX'],
  ['IPC-6', ({ request }) => request.orderDetail?.[1]?.text, 'PA and lateral'],
  ['IPC-7', ({ request }) => request.performer?.[0]?.display, 'ROOM1'],
  ['IPC-8', ({ request }) => request.locationReference, [{ display: 'X-ray department' }]],
  [
    'IPC-9',
    ({ request }) => request.performer,
    [{ type: 'Device', identifier: { value: 'AE1' }, display: 'ROOM1' }],
  ],
  [
    'ZDS-1',
    ({ request }) => request.identifier,
    expect.arrayContaining([{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.4' }]),
  ],
  ['NTE-3', (all) => [all.observation.note?.[0]?.text, all.request.note?.length], ['Sample was late', 2]],
  ['NTE-5', ({ observation }) => observation.note?.[0]?.authorString, 'TECH LAB'],
  ['NTE-6', ({ observation }) => observation.note?.[0]?.time, '2026-01-14T09:00:00+01:00'],

  [
    'DG1-3',
    ({ condition }) => condition.code,
    {
      coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'J18.9', display: 'Pneumonia' }],
      text: 'Pneumonia',
    },
  ],
  ['DG1-4', ({ condition }) => condition.code, { text: 'Pneumonia, lower lobe' }, { 'DG1-3': '' }],
  ['DG1-5', ({ condition }) => condition.onsetDateTime, '2026-01-12'],
  [
    'DG1-6',
    ({ condition }) => [
      condition.verificationStatus?.coding?.[0]?.code,
      condition.category?.map(({ coding }) => coding?.[0]?.code),
      condition.clinicalStatus,
    ],
    ['provisional', ['encounter-diagnosis', 'W'], undefined],
  ],
  ['DG1-16', ({ condition }) => condition.asserter?.display, 'SAID WHO'],
  ['DG1-18', ({ condition }) => condition.meta?.security?.[0]?.code, 'R'],
  ['DG1-19', ({ condition }) => condition.recordedDate, '2026-01-13'],
  ['DG1-20', ({ condition }) => condition.identifier?.[0]?.value, 'DG-1'],
  [
    'DG1-21',
    ({ condition }) => condition.verificationStatus?.coding?.[0]?.code,
    'entered-in-error',
    { 'DG1-21': 'D' },
  ],

  [
    'OBX-2',
    ({ observation }) => [observation.valueString, observation.valueQuantity],
    ['1.3 mg', undefined],
    { 'OBX-2': 'ST', 'OBX-5': '1.3 mg' },
  ],
  [
    'OBX-3',
    ({ observation }) => observation.code.coding?.[0],
    { system: 'http://loinc.org', code: '2160-0', display: 'Creatinine' },
  ],
  ['OBX-4', ({ observation }) => observation.code.text, 'Creatinine'],
  [
    'OBX-5',
    ({ observation }) => [
      observation.valueQuantity?.value,
      observation.component?.map(({ valueQuantity }) => valueQuantity?.value),
    ],
    [undefined, [1.3, 1.4]],
  ],
  [
    'OBX-6',
    ({ observation }) => observation.valueQuantity,
    { value: 1.3, unit: 'mg/dL', system: 'http://unitsofmeasure.org', code: 'mg/dL' },
    { 'OBX-5': '1.3' },
  ],
  ['OBX-7', ({ observation }) => observation.referenceRange, [{ text: '0.6-1.2' }]],
  [
    'OBX-8',
    ({ observation }) => observation.interpretation?.map(({ coding }) => coding?.[0]?.code),
    ['H', 'U'],
  ],
  ['OBX-11', ({ observation }) => observation.status, 'final'],
  ['OBX-14', ({ observation }) => observation.effectiveDateTime, '2026-01-14T08:00:00+01:00'],
  [
    'OBX-15',
    ({ observation }) => observation.performer?.[1],
    { type: 'Organization', display: 'Laboratory Nine' },
    { 'OBX-23': '' },
  ],
  ['OBX-16', ({ observation }) => observation.performer?.[0]?.display, 'TECH LAB'],
  ['OBX-17', ({ observation }) => observation.method?.text, 'Enzymatic'],
  ['OBX-18', ({ observation }) => observation.device, { identifier: { value: 'ANALYSER-1' } }],
  ['OBX-20', ({ observation }) => observation.bodySite?.text, 'Blood'],
  ['OBX-21', ({ observation }) => observation.identifier?.[0]?.value, 'OBS-1'],
  [
    'OBX-23',
    ({ observation }) => observation.performer?.[1],
    { type: 'Organization', display: 'Central laboratory' },
  ],
];

/** Rows of the page: `PID-6`, or `PV1-20 to PV1-35` of what is not taken. */
const ROWS = readFileSync('docs/hl7-fields.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, from = '', to = from, becomes = ''] =
      /^\| ([A-Z][A-Z0-9]{2}-\d+)(?: to ([A-Z][A-Z0-9]{2}-\d+))? \| (.+) \|$/.exec(line) ?? [];
    return from === '' ? [] : [{ from, to, becomes, isTaken: !becomes.startsWith('not taken: ') }];
  });

describe('A full order, field by field', () => {
  for (const [field, look, expected, change] of CHECKS)
    it(field, () => {
      expect(look(mapped(change))).toEqual(expected);
    });

  it('has nothing odd about it, and no empty element', () => {
    const { flags, ...all } = mapped();
    expect(flags).toEqual([]);
    expect(JSON.stringify(all)).not.toMatch(/""|\[\]|\{\}|null/);
  });

  it('is what the page of fields says: a test for each field that is taken, and a reason for every other', () => {
    const taken = ROWS.filter(({ isTaken }) => isTaken).map(({ from }) => from);
    expect(CHECKS.map(([field]) => field).toSorted()).toEqual(taken.toSorted());
  });

  it.each([
    ['PID', 40],
    ['PV1', 52],
    ['ORC', 34],
    ['OBR', 54],
    ['DG1', 26],
    ['OBX', 25],
  ])('%s stands on the page with each of its %i fields once', (segment, fields) => {
    const listed = ROWS.filter(({ from }) => from.startsWith(`${segment}-`)).flatMap(({ from, to }) => {
      const [first, last] = [from, to].map((one) => Number(one.split('-')[1]));
      return Array.from({ length: last! - first! + 1 }, (_, n) => first! + n);
    });
    expect(listed).toEqual(Array.from({ length: fields }, (_, n) => n + 1));
  });
});
