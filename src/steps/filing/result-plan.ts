import type {
  DiagnosticReport,
  Encounter,
  Identifier,
  ImagingStudy,
  Observation,
  Patient,
  Reference,
  ServiceRequest,
} from '@medplum/fhirtypes';
import type { Hl7Message } from '../../hl7/codec.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { AccessionPlaces } from './accession-places.ts';
import { addToReport } from './add-to-report.ts';
import type { SenderContext } from './datatype-to-fhir.ts';
import type { FilingPlan } from './filing-plan.ts';
import { refuseSecondPatient } from './only-patient.ts';
import { type Identified, idOf, type Kept, keysOf, type OpenRecord, withNumbers } from './open-record.ts';
import { accessionOf, of } from './order-plan.ts';
import { oruToReports, type ReportedResult } from './oru-to-report.ts';
import { mrnOf, pidOf, pidToPatient } from './pid-to-patient.ts';
import { findVisit } from './place-encounter.ts';
import { isOfAnother, placeKnownPatient } from './place-patient.ts';
import { pv1ToEncounter } from './pv1-to-encounter.ts';
import { FINAL_STATUSES, OPEN_STATUSES } from './result-status.ts';

interface ResultMessage {
  readonly patient: Patient;
  readonly visit: Encounter | undefined;
  readonly results: readonly ReportedResult[];
}

/**
 * ORU^R01 from the RIS or the reporting system → a DiagnosticReport of its own for each OBR, never a version of ours. It is tied to order and study by
 * their numbers; `governance/final-reports.ts` finds it by them, and so a late preliminary result of ours does not leave. A result that is ours,
 * sent back by the RIS, is known by its sender (`isEcho`) or by our filler number, and is filed as nothing.
 */
export function resultPlan(
  messageType: string,
  message: Hl7Message,
  context: SenderContext,
  places: AccessionPlaces,
  isEcho: boolean,
): FilingPlan {
  const pid = pidOf(message);
  refuseSecondPatient(message, 'result');
  const patient = pidToPatient(pid, context);
  const visit = pv1ToEncounter(message.segment('PV1'), pid, context, message.segment('PV2'));
  const results = oruToReports(message, context, places(message));
  const numbers = results.flatMap(({ report }) => report.identifier ?? []);
  return {
    messageType,
    mrn: mrnOf(patient).value ?? null,
    accession: accessionOf(results.map(({ report }) => report)),
    flags: [...new Set([...(isEcho ? ['own-echo'] : []), ...results.flatMap(({ flags }) => flags)])],
    keys: [
      ...keysOf([patient, ...(visit ? [visit] : [])]),
      ...numbers.flatMap(({ system, value }) => [
        `ServiceRequest ${system} ${value}`,
        `DiagnosticReport ${system} ${value}`,
      ]),
    ],
    alone: false,
    lookups: isEcho
      ? []
      : [
          ...of('Patient', [mrnOf(patient)]),
          ...of('Encounter', visit?.identifier?.slice(0, 1) ?? []),
          ...of('ServiceRequest', numbers.filter(isOrderNumber)),
          ...of(
            'ImagingStudy',
            numbers.filter((one) => !isOrderNumber(one) || typeOf(one) === 'ACSN'),
          ),
          ...of('DiagnosticReport', numbers.filter(isOrderNumber)),
          ...results.flatMap(({ filler }) =>
            filler.value === '' ? [] : of('DiagnosticReport', [ownNumber(filler)]),
          ),
        ],
    place: async (record) => {
      if (!isEcho) await placeResults(record, { patient, visit, results });
    },
  };
}

async function placeResults(record: OpenRecord, { patient, visit, results }: ResultMessage): Promise<void> {
  const theirs = results.filter(({ filler }) => !isOurs(record, filler));
  if (theirs.length < results.length) record.flags.push('own-echo');
  if (theirs.length === 0) return;
  const subject = { reference: `Patient/${await placeKnownPatient(record, patient)}` };
  const encounter = visit && sameSubject(findVisit(record, visit) ?? null, subject);
  for (const [at, result] of theirs.entries()) await placeResult(record, result, subject, encounter, at);
}

async function placeResult(
  record: OpenRecord,
  result: ReportedResult,
  subject: Reference,
  encounter: Kept<Encounter> | null | undefined,
  at: number,
): Promise<void> {
  const number = reportNumber(result.report.identifier ?? []);
  const known = record
    .withNumber<DiagnosticReport>('DiagnosticReport', number)
    .find((one) => !one.identifier?.some(({ system }) => system === IDENTIFIER_SYSTEMS.filler));
  if (await isOfAnother(record, known, subject)) {
    throw new Failure(
      'order.other-patient',
      'A report with this number is of another patient; send a correction of that report first.',
      { issues: [{ at: `OBR^${at + 1}^3`, text: 'is the number of a report of another patient' }] },
    );
  }
  const isAddendum = known !== undefined && isAddendumTo(known, result);
  const late = known && !isAddendum && lateness(known, result.report);
  if (isAddendum) record.flags.push('addendum');
  if (late) {
    record.flags.push(late);
    return;
  }
  const id = known?.id ?? idOf('DiagnosticReport', number);
  const lines = result.observations.map(({ key, observation }) => ({
    ...observation,
    id: stableId('Observation', 'hl7', id, key),
    subject,
  }));
  const earlier = await readLines(record, known, lines);
  // A line that is not repeated is no part of the report any more (a result is sent whole); an addendum takes nothing away.
  const isKept = (id: string) => isAddendum || lines.some((line) => line.id === id);
  for (const one of earlier.filter(({ id }) => !isKept(id)))
    record.put({ ...one, status: 'entered-in-error' });
  const stays = isAddendum ? earlier.filter(({ id }) => !lines.some((line) => line.id === id)) : [];
  const all = [...stays, ...lines];
  for (const line of lines) record.put(line as Kept<Observation>);
  record.put({
    ...result.report,
    ...(isAddendum ? addToReport(known, result.report) : {}),
    id,
    identifier: withNumbers(known?.identifier, result.report.identifier),
    subject,
    ...(encounter ? { encounter: { reference: `Encounter/${encounter.id}` } } : {}),
    ...linksOf(record, result, subject, known),
    ...(all.length > 0 ? { result: all.map(({ id: line }) => ({ reference: `Observation/${line}` })) } : {}),
  } as Kept<DiagnosticReport>);
}

/** Reporting systems write A ("some results") for an addendum too. After the final report, with a later time and nothing but final lines, it is one. */
function isAddendumTo(known: DiagnosticReport, { mayBeAddendum, report }: ReportedResult): boolean {
  const [before, now] = [known.issued, report.issued].map((time) => Date.parse(time ?? ''));
  return mayBeAddendum && FINAL_STATUSES.has(known.status) && now! > before!;
}

/** Why a version comes too late to count: what is final stays so, and an older version does not replace a newer one. */
function lateness(known: DiagnosticReport, incoming: ReportedResult['report']): string | null {
  if (FINAL_STATUSES.has(known.status) && OPEN_STATUSES.has(incoming.status))
    return 'preliminary-after-final';
  const isOlder =
    known.issued !== undefined &&
    incoming.issued !== undefined &&
    Date.parse(incoming.issued) < Date.parse(known.issued);
  return isOlder ? 'older-version' : null;
}

/** Lines of the report as it stands, and those of earlier versions, or of a report that was deleted, that come back with this one. */
async function readLines(
  record: OpenRecord,
  known: DiagnosticReport | undefined,
  now: readonly { readonly id: string }[],
): Promise<Kept<Observation>[]> {
  const linked = (known?.result ?? []).flatMap(
    ({ reference }) => /^Observation\/([^/]+)$/.exec(reference ?? '')?.[1] ?? [],
  );
  return record.readMany<Observation>('Observation', [...new Set([...linked, ...now.map(({ id }) => id)])]);
}

/** The order and the study the report is about, where they are the same patient's. A link that is there already stays. */
function linksOf(
  record: OpenRecord,
  { report, studyInstanceUid }: ReportedResult,
  subject: Reference,
  known: DiagnosticReport | undefined,
): Pick<DiagnosticReport, 'basedOn' | 'imagingStudy'> {
  const numbers = report.identifier ?? [];
  const orders = allWith<ServiceRequest>(record, 'ServiceRequest', numbers.filter(isOrderNumber));
  const uid = { system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${studyInstanceUid}` };
  const byUid = studyInstanceUid ? record.withNumber<ImagingStudy>('ImagingStudy', uid) : [];
  const byNumber = allWith<ImagingStudy>(
    record,
    'ImagingStudy',
    numbers.filter((one) => typeOf(one) === 'ACSN'),
  );
  const studies = byUid.length > 0 ? byUid : byNumber.filter((one) => sameSubject(one, subject));
  const own = orders.filter((one) => sameSubject(one, subject));
  if (own.length < orders.length) record.flags.push('order-of-other-patient');
  if (own.length === 0) record.flags.push('result-without-order');
  const basedOn = own.map(({ id }) => ({ reference: `ServiceRequest/${id}` }));
  const imagingStudy = studies.map(({ id }) => ({ reference: `ImagingStudy/${id}` }));
  const links = {
    basedOn: basedOn.length > 0 ? basedOn : known?.basedOn,
    imagingStudy: imagingStudy.length > 0 ? imagingStudy : known?.imagingStudy,
  };
  return {
    ...(links.basedOn ? { basedOn: links.basedOn } : {}),
    ...(links.imagingStudy ? { imagingStudy: links.imagingStudy } : {}),
  };
}

function allWith<T extends Identified>(
  record: OpenRecord,
  type: T['resourceType'],
  numbers: readonly Identifier[],
): Kept<T>[] {
  const found = numbers.flatMap((number) => record.withNumber<T>(type, number));
  return [...new Map(found.map((one) => [one.id, one])).values()];
}

function sameSubject<T extends { subject?: Reference }>(one: T | null, subject: Reference): T | null {
  return one?.subject?.reference === subject.reference ? one : null;
}

/** Ours by the number: no other system makes numbers of this kind. */
function isOurs(record: OpenRecord, filler: ReportedResult['filler']): boolean {
  return filler.value !== '' && record.withNumber('DiagnosticReport', ownNumber(filler)).length > 0;
}

const ownNumber = ({ value }: ReportedResult['filler']) => ({ system: IDENTIFIER_SYSTEMS.filler, value });

/** A report is known by its filler number; by that of the placer where its sender gives none. */
const reportNumber = (numbers: readonly Identifier[]): Identifier =>
  numbers.find((one) => typeOf(one) === 'FILL') ?? numbers.find((one) => typeOf(one) === 'PLAC')!;

const typeOf = (one: Identifier) => one.type?.coding?.[0]?.code ?? '';
const isOrderNumber = (one: Identifier) => ['PLAC', 'FILL', 'ACSN'].includes(typeOf(one));
