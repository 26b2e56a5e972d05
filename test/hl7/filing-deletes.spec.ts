import type { Encounter, Patient, Resource, ServiceRequest } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkElements } from '../../src/fhir/validate/check-elements.ts';
import { type FilingWorld, makeFilingWorld, message } from './filing-world.ts';

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

/** Every test has a patient of its own. */
let run = 0;
beforeEach(() => {
  run += 1;
});

type Fields = Readonly<Record<string, string>>;

/** One order with every field that can be taken back; fields by their place. */
const FULL: Fields = {
  ...{ 'PID-2': 'EXT', 'PID-3': 'MRN^^^HOSP^MR', 'PID-4': 'ALT', 'PID-5': 'DOE^JANE^Q', 'PID-6': 'SMITH' },
  ...{ 'PID-7': '196502141530+0100', 'PID-8': 'F', 'PID-9': 'ROE^JANE', 'PID-10': '2106-3^White^HL70005' },
  ...{ 'PID-11': '1 Main St^^Bonn', 'PID-12': 'Rhein', 'PID-13': '555', 'PID-14': '666', 'PID-15': 'de' },
  ...{ 'PID-16': 'M^Married^HL70002', 'PID-17': 'CAT^Catholic', 'PID-18': 'ACCT', 'PID-19': '123-45-6789' },
  ...{
    'PID-20': 'B07^DE',
    'PID-22': 'N^Not Hispanic',
    'PID-23': 'Bonn',
    'PID-25': '2',
    'PID-26': 'DEU^Germany',
  },
  ...{ 'PID-28': 'FRA^France', 'PID-29': '20260101', 'PID-35': 'H^Human', 'PID-36': 'P^Pug' },
  ...{ 'PV1-2': 'I', 'PV1-3': 'W3', 'PV1-4': 'E^Emergency', 'PV1-5': 'PRE', 'PV1-6': 'ED', 'PV1-7': '7^A' },
  ...{ 'PV1-8': '8^B', 'PV1-9': '9^C', 'PV1-10': 'MED^Medicine', 'PV1-11': 'XRAY', 'PV1-13': 'R^Again' },
  ...{ 'PV1-14': '7^Emergency room', 'PV1-15': 'A2^Wheelchair', 'PV1-16': 'VIP', 'PV1-17': '17^D' },
  ...{ 'PV1-19': 'V', 'PV1-36': '01^Home', 'PV1-37': 'Care home', 'PV1-38': 'D^Diabetic', 'PV1-42': 'W4' },
  ...{
    'PV1-44': '20260110',
    'PV1-45': '20260120',
    'PV1-50': 'ALTV',
    'PV1-52': '52^E',
    'PV2-3': 'R06^Dyspnoea',
  },
  ...{ 'ORC-1': 'NW', 'ORC-2': 'P^OE', 'ORC-3': 'FN^RIS', 'ORC-4': 'G^OE', 'ORC-5': 'IP', 'ORC-8': 'PP^PF' },
  ...{ 'ORC-9': '20260115', 'ORC-12': '12^HOUSE', 'ORC-14': '22855', 'ORC-16': 'X^Reason', 'ORC-28': 'R' },
  ...{ 'ORC-29': 'I^Inpatient', 'ORC-33': 'ALTP', 'TQ1-7': '20260118', 'TQ1-9': 'S', 'OBR-2': 'P^OE' },
  ...{ 'OBR-4': 'X^Chest', 'OBR-13': 'Fell', 'OBR-15': '^^^LUNG', 'OBR-18': 'ACC', 'OBR-24': 'RAD' },
  ...{ 'OBR-28': '55^COPY', 'OBR-31': 'R05^Cough', 'OBR-44': '71046^Two views', 'OBR-53': 'ALTO' },
  ...{ 'IPC-1': 'ACC', 'IPC-2': 'RP', 'IPC-3': '1.2.3', 'IPC-4': 'SPS', 'IPC-7': 'ROOM', 'IPC-8': 'XR' },
};
/** What says who and which it is stands in every message. */
const NUMBERS = ['PID-3', 'PID-5', 'PV1-19', 'PV1-50', 'ORC-2', 'ORC-3', 'OBR-4', 'OBR-53'];
const own = (text: string) => text.replace(/^(MRN|ACCT|V|P|FN|ACC)(?=\^|$)/, `$1${run}`);

const orderOf = (fields: Fields, type = 'OMI^O23^OMI_O23') => {
  const names = [...new Set(Object.keys(fields).map((place) => place.split('-')[0]!))];
  const lines = names.map((name) => {
    const of = Object.entries(fields).filter(([place]) => place.startsWith(`${name}-`));
    const cells: string[] = [name];
    for (const [place, text] of of) cells[Number(place.split('-')[1])] = own(text);
    return Array.from(cells, (cell) => cell ?? '').join('|');
  });
  return message(type, lines);
};

interface Filed {
  readonly Patient: Patient;
  readonly Encounter: Encounter;
  readonly ServiceRequest: ServiceRequest;
}
const one = async <T extends Resource>(type: T['resourceType'], number: string) => {
  const [found] = await world.find<T>(type, `identifier=${number}${run}`);
  const { version: _, meta: _m, ...resource } = found!;
  return resource as unknown as T;
};
const record = async (): Promise<Filed> => ({
  Patient: await one<Patient>('Patient', 'MRN'),
  Encounter: await one<Encounter>('Encounter', 'V'),
  ServiceRequest: await one<ServiceRequest>('ServiceRequest', 'P'),
});

/** Files the full order and a change of it with `""` in the places; the record before and after, and the flags. */
async function takenBack(places: readonly string[], more: Fields = {}) {
  await world.file(orderOf(FULL));
  const before = await record();
  const kept = Object.fromEntries(NUMBERS.map((place) => [place, FULL[place]!]));
  const marks = Object.fromEntries(places.map((place) => [place, '""']));
  const [row] = await world.file(orderOf({ ...kept, 'ORC-1': 'XO', ...more, ...marks }));
  return { before, after: await record(), row: row! };
}

/** Place of the field; what it is in the record, as `ServiceRequest.note`, `[n]` for one of a list, or an extension. */
const TAKEN_BACK: readonly (readonly [place: string, path: string])[] = [
  ['PID-6', 'Patient.extension patient-mothersMaidenName'],
  ['PID-7', 'Patient.birthDate'],
  ['PID-8', 'Patient.gender'],
  ['PID-9', 'Patient.name[1]'],
  ['PID-10', 'Patient.extension us-core-race'],
  ['PID-11', 'Patient.address'],
  ['PID-13', 'Patient.telecom[0]'],
  ['PID-14', 'Patient.telecom[1]'],
  ['PID-15', 'Patient.communication'],
  ['PID-16', 'Patient.maritalStatus'],
  ['PID-17', 'Patient.extension patient-religion'],
  ['PID-22', 'Patient.extension us-core-ethnicity'],
  ['PID-23', 'Patient.extension patient-birthPlace'],
  ['PID-24', 'Patient.multipleBirthInteger'],
  ['PID-25', 'Patient.multipleBirthInteger'],
  ['PID-26', 'Patient.extension patient-citizenship'],
  ['PID-39', 'Patient.extension patient-citizenship'],
  ['PID-28', 'Patient.extension patient-nationality'],
  ['PID-29', 'Patient.deceasedDateTime'],
  ['PID-30', 'Patient.deceasedDateTime'],
  ['PID-35', 'Patient.extension patient-animal'],
  ['PID-40', 'Patient.telecom'],
  ['PV1-3', 'Encounter.location'],
  ['PV1-4', 'Encounter.type'],
  ['PV1-18', 'Encounter.type'],
  ['PV1-5', 'Encounter.hospitalization.preAdmissionIdentifier'],
  ['PV1-6', 'Encounter.location[3]'],
  ['PV1-43', 'Encounter.location[3]'],
  ['PV1-7', 'Encounter.participant[0]'],
  ['PV1-8', 'Encounter.participant[1]'],
  ['PV1-9', 'Encounter.participant[2]'],
  ['PV1-17', 'Encounter.participant[3]'],
  ['PV1-52', 'Encounter.participant[4]'],
  ['PV1-10', 'Encounter.serviceType'],
  ['PV1-13', 'Encounter.hospitalization.reAdmission'],
  ['PV1-14', 'Encounter.hospitalization.admitSource'],
  ['PV1-15', 'Encounter.hospitalization.specialArrangement'],
  ['PV1-16', 'Encounter.hospitalization.specialCourtesy'],
  ['PV1-36', 'Encounter.hospitalization.dischargeDisposition'],
  ['PV1-37', 'Encounter.hospitalization.destination'],
  ['PV1-38', 'Encounter.hospitalization.dietPreference'],
  ['PV1-42', 'Encounter.location[2]'],
  ['PV1-44', 'Encounter.period.start'],
  ['PV1-45', 'Encounter.period.end'],
  ['PV2-3', 'Encounter.reasonCode'],
  ['ORC-4', 'ServiceRequest.requisition'],
  ['ORC-8', 'ServiceRequest.basedOn'],
  ['OBR-29', 'ServiceRequest.basedOn'],
  ['ORC-12', 'ServiceRequest.requester'],
  ['ORC-21', 'ServiceRequest.requester'],
  ['OBR-16', 'ServiceRequest.requester'],
  ['ORC-14', 'ServiceRequest.extension servicerequest-order-callback-phone-number'],
  ['OBR-17', 'ServiceRequest.extension servicerequest-order-callback-phone-number'],
  ['ORC-16', 'ServiceRequest.extension request-statusReason'],
  ['ORC-29', 'ServiceRequest.locationCode'],
  ['TQ1-7', 'ServiceRequest.occurrenceDateTime'],
  ['OBR-6', 'ServiceRequest.occurrenceDateTime'],
  ['OBR-36', 'ServiceRequest.occurrenceDateTime'],
  ['TQ1-9', 'ServiceRequest.priority'],
  ['OBR-5', 'ServiceRequest.priority'],
  ['OBR-12', 'ServiceRequest.note'],
  ['OBR-13', 'ServiceRequest.note'],
  ['NTE-3', 'ServiceRequest.note'],
  ['OBR-15', 'ServiceRequest.bodySite'],
  ['OBR-24', 'ServiceRequest.category[1]'],
  ['OBR-28', 'ServiceRequest.extension result-copies-to'],
  ['OBR-31', 'ServiceRequest.reasonCode'],
  ...['OBR-30', 'OBR-44', 'OBR-45', 'OBR-46', 'OBR-47', 'IPC-5', 'IPC-6'].map(
    (place) => [place, 'ServiceRequest.orderDetail'] as const,
  ),
  ['IPC-7', 'ServiceRequest.performer'],
  ['IPC-9', 'ServiceRequest.performer'],
  ['IPC-8', 'ServiceRequest.locationReference'],
];

/** The record without what stands at the path, which must be there. */
function without(all: Filed, path: string): unknown {
  const copy = structuredClone(all) as unknown as Record<string, Record<string, unknown>>;
  const [steps = '', url] = path.split(' ');
  const keys = steps.replace(/\[(\d)\]/, '.$1').split('.');
  const last = keys.pop()!;
  const holder = keys.reduce(
    (at, key) => at[key] as Record<string, Record<string, unknown>>,
    copy,
  ) as unknown;
  if (Array.isArray(holder)) expect(holder.splice(Number(last), 1)).toHaveLength(1);
  else {
    const at = holder as Record<string, unknown>;
    expect(at).toHaveProperty(last);
    const extensions = at[last] as { url: string }[];
    const others = url ? extensions.filter((one) => !one.url.endsWith(`/${url}`)) : [];
    if (url) expect(others.length).toBeLessThan(extensions.length);
    if (others.length > 0) at[last] = others;
    else delete at[last];
    if (last === 'birthDate') delete at['_birthDate'];
  }
  return copy;
}

describe('A field with "" takes back what was sent before, and nothing else', () => {
  it.each(TAKEN_BACK)('%s: %s', async (place, path) => {
    const { before, after, row } = await takenBack([place]);
    expect(after).toEqual(without(before, path));
    expect([row.filing_outcome, row.flags]).toEqual(['filed', []]);
    for (const resource of Object.values(after)) expect(checkElements(resource)).toEqual([]);
  });

  it.each(['ORC-7', 'OBR-27'])('%s: when and how urgent', async (place) => {
    const { before, after, row } = await takenBack([place]);
    const { occurrenceDateTime, priority, ...rest } = before.ServiceRequest;
    expect([occurrenceDateTime, priority]).toEqual(['2026-01-18', 'stat']);
    expect([after.ServiceRequest, row.flags]).toEqual([rest, []]);
  });

  it('in every component and repetition of it, and in an ADT too', async () => {
    await world.file(orderOf(FULL));
    const visit = orderOf(
      {
        'PID-3': FULL['PID-3']!,
        'PID-5': 'DOE^JANE',
        'PID-11': '""^""^""',
        'PID-13': '""~""',
        'PV1-19': 'V',
        'PV1-7': '""',
      },
      'ADT^A08',
    );
    expect((await world.file(visit))[0]!.flags).toEqual([]);
    const { Patient: person, Encounter: stay } = await record();
    expect(person).not.toHaveProperty('address');
    expect(person.telecom?.map(({ value }) => value)).toEqual(['666']);
    // The middle name went with the name, which is one value.
    expect(person.name?.[0]?.given).toEqual(['JANE']);
    expect(stay.participant?.map(({ individual }) => individual?.display)).toEqual(['B', 'C', 'D', 'E']);
  });

  it('where another field says the element, that counts', async () => {
    const { after, row } = await takenBack(['OBR-16', 'TQ1-9', 'PID-29', 'PID-9'], {
      ...{ 'ORC-12': '99^OTHER', 'OBR-5': 'A', 'PID-30': 'Y', 'PID-5': 'DOE^JANE^^^^^L~NEE^JANE^^^^^M' },
    });
    expect(after.ServiceRequest).toMatchObject({ priority: 'asap', requester: { display: 'OTHER' } });
    expect(after.Patient).toMatchObject({
      deceasedBoolean: true,
      name: [{ family: 'DOE' }, { family: 'NEE', use: 'maiden' }],
    });
    expect(after.Patient).not.toHaveProperty('deceasedDateTime');
    expect(row.flags).toEqual([]);
  });

  it('a field of an address goes with it', async () => {
    const { before, after } = await takenBack(['PID-12'], { 'PID-11': '1 Main St^^Bonn' });
    expect(before.Patient.address?.[0]?.district).toBe('Rhein');
    expect(after.Patient.address).toEqual([{ line: ['1 Main St'], city: 'Bonn' }]);
  });
});

describe('What cannot be blank, or is only ever added to, stays, and the message is flagged', () => {
  const KEPT = [
    'PID-2',
    'PID-4',
    'PID-5',
    'PID-12',
    'PID-18',
    'PID-19',
    'PID-20',
    'PID-36',
    'PV1-2',
    'PV1-11',
    'PV1-50',
  ];
  const ORDERS = [
    'ORC-3',
    'ORC-5',
    'ORC-9',
    'ORC-28',
    'ORC-33',
    'OBR-2',
    'OBR-3',
    'OBR-4',
    'OBR-18',
    'OBR-19',
    'OBR-20',
    'OBR-53',
  ];
  it.each([...KEPT, ...ORDERS, 'IPC-1', 'IPC-2', 'IPC-3', 'IPC-4', 'ZDS-1'])('%s', async (place) => {
    const { before, after, row } = await takenBack([place]);
    expect(after).toEqual(before);
    expect([row.filing_outcome, row.flags]).toEqual(['filed', ['delete-ignored']]);
  });

  it.each([
    ['PID-3', 'hl7.missing', 'PID^1^3'],
    ['ORC-1', 'hl7.value', 'ORC^1^1'],
  ])('but %s refuses the message', async (place, outcome, at) => {
    const { before, after, row } = await takenBack([place]);
    expect(after).toEqual(before);
    expect([row.filing_outcome, row.filing_location]).toEqual([outcome, at]);
  });

  it('the number of a visit: the visit is left as it is, and flagged so', async () => {
    const { before, after, row } = await takenBack(['PV1-19']);
    expect(after).toEqual(before);
    expect(row.flags).toEqual(['visit-without-number', 'delete-ignored']);
  });

  it('in an ADT and a merge too', async () => {
    const merge = message('ADT^A40^ADT_A39', [`PID|1||M${run}^^^HOSP^MR||""`, `MRG|N${run}^^^HOSP^MR`]);
    const rows = await world.file(message('ADT^A08', [`PID|1||M${run}^^^HOSP^MR||""`]), merge);
    expect(rows.map((row) => row.flags.join())).toEqual(['delete-ignored', 'delete-ignored,merged-unknown']);
  });
});

describe('An empty field leaves what is there', () => {
  it('of everything', async () => {
    const { before, after, row } = await takenBack([]);
    expect([after, row.flags]).toEqual([before, []]);
  });

  it.each([
    ['PID-5', 'ROE^J', (all: Filed) => all.Patient.name?.map(({ family }) => family), ['ROE', 'ROE']],
    ['PID-13', '777', (all: Filed) => all.Patient.telecom?.map(({ value }) => value), ['777', '666']],
    ['PID-14', '777', (all: Filed) => all.Patient.telecom?.map(({ value }) => value), ['555', '777']],
    ['PID-40', '777^WPN', (all: Filed) => all.Patient.telecom?.map(({ value }) => value), ['555', '777']],
    ['PID-7', '19650214', (all: Filed) => '_birthDate' in all.Patient, true],
    ['PID-7', '19650215', (all: Filed) => '_birthDate' in all.Patient, false],
    ['PID-30', 'Y', (all: Filed) => all.Patient.deceasedDateTime, '2026-01-01'],
    [
      'PID-30',
      'N',
      (all: Filed) => [all.Patient.deceasedDateTime, all.Patient.deceasedBoolean],
      [undefined, false],
    ],
    ['PID-24', 'Y', (all: Filed) => all.Patient.multipleBirthInteger, 2],
    [
      'PV1-8',
      '80^X',
      (all: Filed) => all.Encounter.participant?.map(({ individual }) => individual?.display),
      ['A', 'X', 'C', 'D', 'E'],
    ],
    [
      'PV1-3',
      'W9',
      (all: Filed) => all.Encounter.location?.map(({ location }) => location.display),
      ['W9', 'W4', 'ED'],
    ],
    ['PV1-36', '02^Died', (all: Filed) => all.Encounter.hospitalization?.admitSource?.text, 'Emergency room'],
    ['OBR-31', 'R06^Dyspnoea', (all: Filed) => all.ServiceRequest.category?.length, 2],
  ] as const)('beside a %s of %s', async (place, text, look, expected) => {
    const { after } = await takenBack([], { [place]: text });
    expect(look(after)).toEqual(expected);
  });
});
