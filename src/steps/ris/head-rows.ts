import type { Encounter, HumanName, Identifier, Patient, Reference } from '@medplum/fhirtypes';
import { STUDY_NUMBER_SYSTEMS } from '../../hl7/assigning-authority.ts';
import type { Component, Repetition, Row } from '../../hl7/codec.ts';
import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';
import { referenceToXcn } from '../../hl7/xcn-reference.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { codingsToCwe, conceptToCwe, identifierToCx, identifierToEi } from './fhir-to-datatype.ts';
import type { OruInput } from './oru-input.ts';
import { type ReportStatus, SOFTWARE_NOTE } from './report-status.ts';

/** MSH, PID, PV1, ORC, OBR: for whom and to which order. Throws `ris.not-sendable` without a number of the patient or of the report. */
export function headRows(input: OruInput, status: ReportStatus): Row[] {
  return [
    headerRow(input),
    patientRow(input),
    visitRow(input),
    orderRow(input, status),
    requestRow(input, status),
  ];
}

/** What people search a message by. */
export interface StudyNumbers {
  readonly mrn: string;
  readonly accession: string;
  readonly placer: string;
  readonly filler: string;
  /** Without `urn:oid:`; '' when the images name none. */
  readonly studyUid: string;
}

export function studyNumbers(input: OruInput): StudyNumbers {
  const { patient, imagingStudy } = input;
  const numbers = numbersOf(patient);
  const uid = imagingStudy.identifier?.find((one) => one.system === IDENTIFIER_SYSTEMS.dicomUid)?.value;
  return {
    mrn: (numbers.find((one) => typeOf(one) === 'MR') ?? numbers[0])?.value ?? '',
    ...orderNumbers(input),
    filler: firstOf(fillerOf(input)),
    studyUid: uid?.replace(/^urn:oid:/, '') ?? '',
  };
}

/** The numbers under which a receiver finds the order, besides our filler number; '' where the record has none. */
export const orderNumbers = (input: Ordered): Pick<StudyNumbers, 'accession' | 'placer'> => ({
  accession: valueOfSystem(input, STUDY_NUMBER_SYSTEMS.accession),
  placer: firstOf(placerOf(input)),
});

type Ordered = Pick<OruInput, 'serviceRequest' | 'imagingStudy'>;

const firstOf = (one: Repetition) => (typeof one === 'string' ? one : String(one[0] ?? ''));

function headerRow({ profile, controlId, now }: OruInput): Row {
  return {
    segment: 'MSH',
    fields: {
      3: profile.sendingApplication,
      4: profile.sendingFacility,
      5: profile.receivingApplication,
      6: profile.receivingFacility,
      7: dateTimeToTimestamp(now.toISOString(), profile),
      // The third component came with v2.4.
      9: profile.version === '2.3.1' ? ['ORU', 'R01'] : ['ORU', 'R01', 'ORU_R01'],
      10: controlId,
      11: profile.processingId,
      12: profile.version,
      ...(profile.ackMode === 'enhanced' ? { 15: 'AL', 16: profile.commitIsSuccess ? 'NE' : 'AL' } : {}),
    },
  };
}

/** PID-3 is the list the order came with, without numbers that belong elsewhere (social security) or were given up. */
const numbersOf = ({ identifier = [] }: Patient): Identifier[] =>
  identifier.filter((one) => Boolean(one.value) && one.use !== 'old' && !NOT_IN_PID_3.has(typeOf(one)));

function patientRow({ patient, encounter, profile }: OruInput): Row {
  const numbers = numbersOf(patient);
  if (numbers.length === 0) {
    throw new Failure(
      'ris.not-sendable',
      'The patient has no medical record number: a RIS could not file the result.',
      { issues: [{ at: 'Patient.identifier', text: 'is missing' }] },
    );
  }
  const account = encounter?.identifier?.find((one) => typeOf(one) === 'AN');
  return {
    segment: 'PID',
    fields: {
      1: '1',
      3: { repetitions: numbers.map(identifierToCx) },
      5: nameOf(patient),
      7: dateTimeToTimestamp(patient.birthDate, profile),
      8:
        ({ female: 'F', male: 'M', other: 'O', unknown: 'U' } as Record<string, string>)[
          patient.gender ?? ''
        ] ?? '',
      18: account ? identifierToCx(account) : '',
    },
  };
}

/** The official name, else the first that is still his. One that is one text stands whole in the family name: where it parts nobody knows. */
function nameOf({ name: names = [] }: Patient): Repetition {
  const current = names.filter(({ use }) => use !== 'old' && use !== 'maiden');
  const name: HumanName | undefined = current.find(({ use }) => use === 'official') ?? current[0] ?? names[0];
  if (name === undefined) return '';
  const [given = '', ...middle] = name.given ?? [];
  const family = name.family ?? (given === '' ? name.text : undefined) ?? '';
  return [
    family,
    given,
    middle.join(' '),
    name.suffix?.join(' ') ?? '',
    name.prefix?.join(' ') ?? '',
    '',
    'L',
  ];
}

/** Receivers that read PV1 need the class, so it is always there. */
function visitRow({ encounter }: OruInput): Row {
  const visit = encounter?.identifier?.find((one) => typeOf(one) === 'VN');
  const place = encounter?.location?.[0]?.location.identifier?.value;
  return {
    segment: 'PV1',
    fields: {
      1: '1',
      2: classOf(encounter),
      3: place?.split('^').map(partOf) ?? '',
      19: visit ? identifierToCx(visit) : '',
    },
  };
}

/** PL-4, the facility, is an HD; the other parts are plain text. */
const partOf = (text: string, at: number): Component =>
  at === 3 && text.includes('&') ? { subcomponents: text.split('&') } : text;

function orderRow(input: OruInput, status: ReportStatus): Row {
  const accession = input.profile.accession === 'ORC-3' ? studyNumbers(input).accession : '';
  return {
    segment: 'ORC',
    fields: { 1: 'RE', 2: placerOf(input), 3: accession || fillerOf(input), 5: status.order },
  };
}

function requestRow(input: OruInput, status: ReportStatus): Row {
  const { report, serviceRequest, imagingStudy, profile } = input;
  const accession = valueOfSystem(input, STUDY_NUMBER_SYSTEMS.accession);
  const reviewer =
    status.result === 'F' || status.result === 'C' ? report.resultsInterpreter?.[0] : undefined;
  return {
    segment: 'OBR',
    fields: {
      1: '1',
      2: placerOf(input),
      3: fillerOf(input),
      4: serviceCode(input),
      7: dateTimeToTimestamp(imagingStudy.started ?? report.effectiveDateTime ?? report.issued, profile),
      16: isPerson(serviceRequest?.requester) ? referenceToXcn(serviceRequest?.requester) : '',
      18: profile.accession === 'OBR-18' ? accession : '',
      19: valueOfSystem(input, STUDY_NUMBER_SYSTEMS.requestedProcedure),
      20:
        profile.accession === 'OBR-20' ? accession : valueOfSystem(input, STUDY_NUMBER_SYSTEMS.scheduledStep),
      22: dateTimeToTimestamp(input.now.toISOString(), profile),
      24: 'RAD',
      25: status.result,
      31: { repetitions: serviceRequest?.reasonCode?.map((one) => conceptToCwe(one, profile)) ?? [] },
      // Empty for the model: this is a person.
      32: reviewer ? [{ subcomponents: personOf(reviewer) }] : '',
    },
  };
}

/** The order's code first, for receivers file and title by it; ours as alternate. */
function serviceCode({ report, serviceRequest, profile }: OruInput): Repetition {
  const ordered = serviceRequest?.code;
  if (ordered === undefined) return conceptToCwe(report.code, profile);
  const first = codingsToCwe(ordered.coding?.slice(0, 1) ?? [], ordered.text, profile);
  const own = codingsToCwe(report.code.coding?.slice(0, 1) ?? [], report.code.text, profile);
  const head = [...(first as readonly string[]), '', ''].slice(0, 3);
  return head[0] === own[0] ? head : [...head, ...(own as readonly string[])];
}

/** The placer's number exactly as ordered. */
function placerOf({ serviceRequest }: Pick<OruInput, 'serviceRequest'>): Repetition {
  return identifierToEi(serviceRequest?.identifier?.find((one) => typeOf(one) === 'PLAC'));
}

/** Our own number unless the profile says otherwise: an echo of the radiologist's could overwrite the radiologist's report. */
function fillerOf(input: OruInput): Repetition {
  const { report, serviceRequest, profile } = input;
  const ordered = serviceRequest?.identifier?.find((one) => typeOf(one) === 'FILL');
  if (profile.fillerNumber === 'order' && ordered) return identifierToEi(ordered);
  const accession = valueOfSystem(input, STUDY_NUMBER_SYSTEMS.accession);
  if (profile.fillerNumber === 'accession' && accession !== '') return accession;
  const own = report.identifier?.find((one) => one.system === IDENTIFIER_SYSTEMS.filler)?.value ?? report.id;
  if (own === undefined)
    throw new Failure('ris.not-sendable', 'The report has neither a filler number nor an id.', {
      issues: [{ at: 'DiagnosticReport.identifier', text: 'is missing' }],
    });
  return [own, profile.sendingApplication];
}

/** OBR-16 has a person: the institution that asked would be taken for the family name of one. */
const isPerson = (reference: Reference | undefined): boolean =>
  !NO_PERSON.test(reference?.type ?? '') && !NO_PERSON.test(reference?.reference ?? '');

const NO_PERSON = /(?:^|\/)(?:Organization|Device)(?:\/|$)/;

/** CNN in NDL-1: number, family, given. A name that is one text stands whole in the family name. */
function personOf(reference: Reference): string[] {
  const xcn = referenceToXcn(reference);
  const parts = typeof xcn === 'string' ? [xcn] : xcn.slice(0, 3).map(String);
  return parts;
}

/** What made it, for readers who see text only. */
export function noteRow({ device, report }: OruInput): Row {
  const name = [
    device.deviceName?.[0]?.name ?? report.code.text ?? 'AI model',
    device.version?.[0]?.value ?? '',
  ]
    .join(' ')
    .trim();
  return { segment: 'NTE', fields: { 1: '1', 2: 'L', 3: `${SOFTWARE_NOTE}${name}.` } };
}

/** A number of the study: as ordered, else as the images carry it. */
function valueOfSystem({ serviceRequest, imagingStudy }: Ordered, system: string): string {
  const all = [...(serviceRequest?.identifier ?? []), ...(imagingStudy.identifier ?? [])];
  const found = all.find((one) => one.system === system);
  const typed =
    system === STUDY_NUMBER_SYSTEMS.accession ? all.find((one) => typeOf(one) === 'ACSN') : undefined;
  return (found ?? typed)?.value ?? '';
}

const typeOf = (identifier: Identifier): string => identifier.type?.coding?.[0]?.code ?? '';

/** PID-19 and the like: not asked for, so not spread. */
const NOT_IN_PID_3 = new Set(['SS', 'SB', 'PT', 'DL']);

function classOf(encounter: Encounter | undefined): string {
  const { code = '', system = '' } = encounter?.class ?? {};
  if (system.endsWith('v2-0004') && code !== '') return code;
  return (
    ({ EMER: 'E', IMP: 'I', ACUTE: 'I', NONAC: 'I', AMB: 'O', PRENC: 'P' } as Record<string, string>)[code] ??
    'U'
  );
}
