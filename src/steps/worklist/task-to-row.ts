import type {
  DiagnosticReport,
  HumanName,
  ImagingStudy,
  List,
  Media,
  Observation,
  Patient,
  ServiceRequest,
  Task,
} from '@medplum/fhirtypes';
import { recordedPriorStudies } from '../../governance/prior-studies.ts';
import { reasonForExam, reasonsOf } from '../../governance/reason-for-exam.ts';
import { isSigned, isWithdrawn } from '../../governance/standing.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { ageAt } from './age-at.ts';
import { observationToFinding } from './observation-to-finding.ts';
import { shorten } from './shorten.ts';
import { findUrgency } from './urgency.ts';
import { noteToVerdict, statusReasonToVerdicts } from './verdict-text.ts';
import type { RowExam, RowOrder, RowPatient, RowStatus, WorklistRow } from './worklist-row.ts';

/** The record of one analysis, as far as it is written. */
export interface AnalysisRecord {
  readonly task: Task;
  readonly patient: Patient | null;
  readonly study: ImagingStudy | null;
  readonly order: ServiceRequest | null;
  readonly report: DiagnosticReport | null;
  /** In the order of `DiagnosticReport.result`. */
  readonly observations: readonly Observation[];
  /** Earlier studies that only the PACS knows. A caller without the right to it sees the row without. */
  readonly priorStudies?: List | null;
  /** The key picture. */
  readonly media: Media | null;
}

/** FHIR record of one analysis → its row. Pure; whatever is missing in the record is null in the row. */
export function taskToRow(record: AnalysisRecord): WorklistRow {
  const { task, report } = record;
  const status = statusOf(task, report);
  const findings = record.observations
    .filter((observation) => !isWithdrawn(observation))
    .map(observationToFinding);
  const order = orderOf(record);
  return {
    id: task.id ?? '',
    status,
    stage: shorten(task.businessStatus?.text),
    urgency: findUrgency({ status, priority: order.priority, findings }),
    patient: patientOf(record),
    exam: examOf(record),
    order,
    model: modelOf(task),
    findings,
    conclusion: shorten(report?.conclusion),
    refusals: status === 'refused' ? statusReasonToVerdicts(task.statusReason) : [],
    failure:
      status === 'failed'
        ? (shorten(task.statusReason?.text) ?? 'The analysis ended without a reason')
        : null,
    warnings: [...goneOf(record.study), ...(task.note ?? []).map(noteToVerdict)],
    report: report?.id ? { id: report.id, status: report.status, issued: report.issued ?? null } : null,
    priorStudies: priorStudiesOf(record),
    picture: pictureOf(record),
    requestedAt: task.authoredOn ?? null,
    finishedAt: task.executionPeriod?.end ?? null,
  };
}

/** Id of a relative reference of one type: `Patient/7` or `Patient/7/_history/2` → `7`. */
export function idOf(type: string, reference: string | undefined): string | null {
  const match = /^([A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/.exec(
    reference ?? '',
  );
  return match?.[1] === type ? (match[2] ?? null) : null;
}

function statusOf(task: Task, report: DiagnosticReport | null): RowStatus {
  // The newest word is the gate's: no result now, and why. That there was one stands beside it.
  if (report && isWithdrawn(report)) return task.status === 'rejected' ? 'refused' : 'retracted';
  if (report && isSigned(report)) return 'reviewed';
  switch (task.status) {
    case 'rejected':
      return 'refused';
    case 'failed':
      return 'failed';
    case 'cancelled':
    case 'entered-in-error':
      return 'retracted';
    case 'in-progress':
      return 'running';
    case 'completed':
      return report ? 'preliminary' : 'running';
    default:
      return report ? 'preliminary' : 'waiting';
  }
}

function patientOf({ patient, study, task }: AnalysisRecord): RowPatient {
  const birthDate = patient?.birthDate ?? null;
  const mrn = patient?.identifier?.find((one) => one.type?.coding?.some((coding) => coding.code === 'MR'));
  return {
    id: patient?.id ?? null,
    name: shorten(nameOf(patient?.name)),
    mrn: shorten((mrn ?? patient?.identifier?.[0])?.value),
    sex: shorten(patient?.gender),
    birthDate,
    age: ageAt(birthDate, study?.started ?? task.authoredOn),
  };
}

function nameOf(names: readonly HumanName[] | undefined): string | undefined {
  const name =
    names?.find((one) => one.use === 'official') ?? names?.find((one) => one.use !== 'old') ?? names?.[0];
  const parts = [name?.family, name?.given?.join(' ')].filter((part) => part);
  return parts.length > 0 ? parts.join(', ') : name?.text;
}

function examOf({ study, order, report, task }: AnalysisRecord): RowExam {
  const uid = study?.identifier?.find((one) => one.system === IDENTIFIER_SYSTEMS.dicomUid)?.value;
  const modalities = (study?.modality ?? []).flatMap((coding) => coding.code ?? []);
  return {
    id: study?.id ?? null,
    description: shorten(
      study?.description ?? order?.code?.text ?? order?.code?.coding?.[0]?.display ?? report?.code?.text,
    ),
    modality: shorten(modalities.join(', ')),
    studyInstanceUid: shorten(uid?.replace(/^urn:oid:/, '')),
    since: study?.started ?? task.authoredOn ?? null,
    reason: shorten(reasonForExam(reasonsOf(order), study?.reasonCode)),
  };
}

function orderOf({ order, study }: AnalysisRecord): RowOrder {
  const accession = [...(order?.identifier ?? []), ...(study?.identifier ?? [])].find((one) =>
    one.type?.coding?.some((coding) => coding.code === 'ACSN'),
  );
  return {
    matched: order !== null,
    id: order?.id ?? null,
    accession: shorten(accession?.value),
    priority: order?.priority ?? null,
  };
}

function priorStudiesOf({ priorStudies }: AnalysisRecord): WorklistRow['priorStudies'] {
  const found = recordedPriorStudies(priorStudies ?? null);
  return found && { ...found, studies: found.studies.flatMap((text) => shorten(text) ?? []) };
}

/** Deleted in the PACS, or handed on: nobody can look at the images there. */
const goneOf = (study: ImagingStudy | null): WorklistRow['warnings'] =>
  study?.status === 'registered'
    ? [noteToVerdict({ text: 'The PACS has this study no more. Check whether its result still holds.' })]
    : [];

function modelOf(task: Task): WorklistRow['model'] {
  const text = task.input?.find((one) => one.type?.text === 'model')?.valueString;
  const [id, version] = (shorten(text) ?? '').split('@');
  return id ? { id, version: version ?? '' } : null;
}

function pictureOf({ media }: AnalysisRecord): WorklistRow['picture'] {
  const id = idOf('Binary', media?.content?.url);
  return id === null ? null : { id, title: shorten(media?.content?.title) };
}
