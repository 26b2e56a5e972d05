import { buildMessage, type Field, type Row } from '../src/hl7/codec.ts';

/** One message of the day. */
export interface DayMessage {
  readonly controlId: string;
  /** `ADT^A04`, `ORM^O01 cancel`: for the summary. */
  readonly kind: string;
  /** Messages of one lane go one after the other: it is a patient, or two that are merged. */
  readonly lane: number;
  readonly bytes: Buffer;
}

/**
 * A department's day in the order in which it is sent: patients are registered or admitted, corrected, examinations ordered (by ORM, OMI or OMG), some
 * cancelled, and now and then somebody was registered twice and is merged. The same seed and run give the same bytes but for times.
 * `run` stands in every number, so that two runs meet as different patients and orders.
 */
export function* simulatedDay(seed: number, run: string, now: () => Date): Generator<DayMessage> {
  const random = randomOf(seed);
  const waiting: Iterator<Draft>[] = [];
  let patients = 0;
  let messages = 0;
  for (;;) {
    // Patients come one by one, and their messages mix with those of others.
    if (waiting.length < PATIENTS_AT_ONCE) {
      patients += 1;
      waiting.push(visit(patients, run, random));
    }
    const at = Math.floor(random() * waiting.length);
    const next = waiting[at]?.next();
    if (next === undefined || next.done) {
      waiting.splice(at, 1);
      continue;
    }
    messages += 1;
    const controlId = `S${run}${String(messages).padStart(6, '0')}`;
    const { kind, lane, rows } = next.value;
    yield { controlId, kind, lane, bytes: buildMessage([header(kind, controlId, now()), ...rows]).bytes };
  }
}

const PATIENTS_AT_ONCE = 12;

interface Draft {
  readonly kind: string;
  readonly lane: number;
  readonly rows: readonly Row[];
}

interface Person {
  readonly lane: number;
  readonly mrn: string;
  readonly family: string;
  readonly given: string;
  readonly birth: string;
  readonly sex: 'F' | 'M';
  readonly inpatient: boolean;
  readonly visit: string;
}

type Random = () => number;
const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

/** All that one person causes, in its order. */
function* visit(number: number, run: string, random: Random): Generator<Draft> {
  const person = personOf(number, `SIM${run}${String(number).padStart(5, '0')}`, random);
  const lane = number;
  const adt = (event: string, rows: readonly Row[]): Draft => ({
    kind: `ADT^${event}`,
    lane,
    rows: [{ segment: 'EVN', fields: { 1: event, 2: '20260101080000' } }, ...rows],
  });
  yield adt(person.inpatient ? 'A01' : 'A04', [pid(person), pv1(person)]);
  if (random() < 0.25)
    yield adt('A08', [pid(person, `${Math.floor(random() * 90) + 10} Simulation Road`), pv1(person)]);
  const orders = random() < 0.2 ? 2 : 1;
  for (let one = 1; one <= orders; one += 1) {
    const placer = `${person.mrn}-${one}`;
    const exam = pick(random, EXAMS);
    const shape = pick(random, SHAPES);
    yield { kind: shape, lane, rows: orderRows(shape, 'NW', person, placer, exam) };
    if (random() < 0.08)
      yield { kind: `${shape} cancel`, lane, rows: orderRows(shape, 'CA', person, placer, exam) };
  }
  if (random() < 0.06) {
    // Registered again at the emergency desk under a new number, which is then merged into the first.
    const double = { ...person, mrn: `${person.mrn}D`, visit: `${person.visit}D`, inpatient: false };
    yield adt('A04', [pid(double), pv1(double)]);
    yield adt('A40', [pid(person), { segment: 'MRG', fields: { 1: cx(double.mrn, 'MR') } }]);
  }
}

const SHAPES = ['ORM^O01', 'ORM^O01', 'OMI^O23', 'OMG^O19'] as const;

const EXAMS = [
  ['24627-2', 'CT Chest', 'CT'],
  ['36643-5', 'XR Chest 2 Views', 'DX'],
  ['36554-4', 'XR Chest Single view', 'CR'],
  ['24725-4', 'CT Head', 'CT'],
  ['24590-2', 'MR Brain', 'MR'],
] as const;

const FAMILIES = [
  'Muster',
  'Sample',
  'Exemple',
  'Prøve',
  'Esempio',
  'Ornek',
  'Przykład',
  'Example-Smith',
  "O'Test",
];
const GIVEN = {
  F: ['Ada', 'Zoë', 'Mária', 'Ingrid', 'Noor'],
  M: ['Alan', 'Jürgen', 'José', 'Per', 'Omar'],
} as const;

function personOf(lane: number, mrn: string, random: Random): Person {
  const sex = random() < 0.5 ? 'F' : 'M';
  const year = 1930 + Math.floor(random() * 90);
  const month = String(1 + Math.floor(random() * 12)).padStart(2, '0');
  const day = String(1 + Math.floor(random() * 28)).padStart(2, '0');
  return {
    lane,
    mrn,
    family: pick(random, FAMILIES),
    given: pick(random, GIVEN[sex]),
    birth: `${year}${month}${day}`,
    sex,
    inpatient: random() < 0.3,
    visit: `V${mrn}`,
  };
}

const AUTHORITY = 'SIMULATOR';
const cx = (number: string, type: string): Field => [number, '', '', AUTHORITY, type];

function header(kind: string, controlId: string, now: Date): Row {
  const [type = '', event = ''] = (kind.split(' ')[0] ?? '').split('^');
  const structure = STRUCTURES[`${type}^${event}`] ?? `${type}_${event}`;
  const time = `${now.toISOString().replace(/[-:T]/g, '').slice(0, 14)}+0000`;
  return {
    segment: 'MSH',
    fields: {
      3: 'SIMULATOR',
      4: AUTHORITY,
      5: 'PRELIM',
      6: 'RADIOLOGY',
      7: time,
      9: [type, event, structure],
      10: controlId,
      11: 'P',
      12: '2.5.1',
    },
  };
}

/** Message structures that several events share (chapter 3, table 0354). */
const STRUCTURES: Readonly<Record<string, string>> = {
  'ADT^A04': 'ADT_A01',
  'ADT^A08': 'ADT_A01',
  'ADT^A40': 'ADT_A39',
};

function pid(person: Person, street?: string): Row {
  return {
    segment: 'PID',
    fields: {
      1: '1',
      3: cx(person.mrn, 'MR'),
      5: [person.family, person.given, '', '', '', '', 'L'],
      7: person.birth,
      8: person.sex,
      ...(street === undefined ? {} : { 11: [street, '', 'Simulation City', '', '12345'] }),
    },
  };
}

function pv1(person: Person): Row {
  const place = person.inpatient ? ['WARD3', '12', 'A', AUTHORITY] : ['RAD', '', '', AUTHORITY];
  return {
    segment: 'PV1',
    fields: { 1: '1', 2: person.inpatient ? 'I' : 'O', 3: place, 19: cx(person.visit, 'VN') },
  };
}

function orderRows(
  shape: (typeof SHAPES)[number],
  control: 'NW' | 'CA',
  person: Person,
  placer: string,
  [code, name, modality]: (typeof EXAMS)[number],
): Row[] {
  const numbers = { 2: [placer, 'SIM_OE'], 3: [`F${placer}`, 'SIM_RIS'] };
  // The accession number is of type SH in OBR-18, at most 16 characters in v2.5.1: its last ones differ.
  const accession = `A${placer}`.replaceAll('-', '').slice(-16);
  const universal: Field = [code, name, 'LN'];
  const obr: Record<number, Field> = { 1: '1', ...numbers, 4: universal, 18: accession, 24: modality };
  const rows: Row[] = [
    pid(person),
    pv1(person),
    { segment: 'ORC', fields: { 1: control, ...numbers, 5: control === 'CA' ? 'CA' : 'SC' } },
  ];
  const supporting = control === 'NW' ? supportingRows(modality) : [];
  if (shape === 'ORM^O01') return [...rows, { segment: 'OBR', fields: { ...obr, 5: 'R' } }, ...supporting];
  rows.push({ segment: 'TQ1', fields: { 1: '1', 9: 'R' } }, { segment: 'OBR', fields: obr }, ...supporting);
  if (shape === 'OMI^O23')
    rows.push({
      segment: 'IPC',
      fields: { 1: accession, 2: `RP${placer}`, 3: uidOf(placer), 4: `SPS${placer}`, 5: modality },
    });
  return rows;
}

/** Why it is asked for, and before contrast agent how the kidneys are. */
function supportingRows(modality: string): Row[] {
  const diagnosis: Row = { segment: 'DG1', fields: { 1: '1', 3: ['R05', 'Cough', 'I10'], 6: 'W' } };
  if (modality !== 'CT') return [diagnosis];
  const creatinine: Row = {
    segment: 'OBX',
    fields: {
      1: '1',
      2: 'NM',
      3: ['2160-0', 'Creatinine', 'LN'],
      4: '1',
      5: '0.9',
      6: ['mg/dL', 'mg/dL', 'UCUM'],
      11: 'F',
    },
  };
  return [diagnosis, creatinine];
}

/** A Study Instance UID out of the placer number (PS3.5 B.2: the 2.25 arc takes any number below 2^128). */
function uidOf(placer: string): string {
  return `2.25.${BigInt(`0x${Buffer.from(placer).toString('hex').slice(-30)}`)}`;
}

/** mulberry32: small, even enough for a day of made-up people, and the same everywhere. */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
