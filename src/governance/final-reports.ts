import type { DiagnosticReport, Identifier, ImagingStudy, Patient, ServiceRequest } from '@medplum/fhirtypes';
import type { Sql } from '../database/database.ts';
import type { ResourceStore, TypedIdentifier } from '../fhir/resource-store.ts';
import { IDENTIFIER_SYSTEMS } from '../kernel/code-systems.ts';
import { isSigned } from './standing.ts';

/** The exam that a result of ours is about, as its record has it. */
export interface ReportedExam {
  readonly patient: Patient;
  readonly imagingStudy?: ImagingStudy;
  readonly serviceRequest?: ServiceRequest;
}

/**
 * Has somebody else's final report of this exam been seen (a radiologist's, by HL7 or by FHIR)? Then a preliminary result of ours comes too late:
 * a receiver may take it for news. The same study by its UID is the same exam; an accession, placer or filler number is, when the
 * patient is the same too, for numbers are used again. Costs one statement where there is none.
 */
export async function hasFinalReport(store: ResourceStore, exam: ReportedExam, sql?: Sql): Promise<boolean> {
  const numbers = numbersOf(exam);
  const found = await store.findByIdentifiers(numbers, sql);
  const finals = found
    .map((stored) => stored.parse<DiagnosticReport>())
    .filter((report) => isSigned(report) && !isOurs(report));
  for (const report of finals) {
    const shared = numbers.filter((one) => hasNumber(report, one));
    if (shared.some(({ system }) => system === IDENTIFIER_SYSTEMS.dicomUid)) return true;
    if (shared.length > 0 && (await isSamePatient(store, report, exam.patient, sql))) return true;
  }
  return false;
}

/** Ours have our own filler number, whoever signed them. */
const isOurs = (report: DiagnosticReport) =>
  report.identifier?.some(({ system }) => system === IDENTIFIER_SYSTEMS.filler) ?? false;

/** Of the order and of the study; numbers of procedures and steps are no part of a report. */
function numbersOf({ imagingStudy, serviceRequest }: ReportedExam): TypedIdentifier[] {
  const all = [...(imagingStudy?.identifier ?? []), ...(serviceRequest?.identifier ?? [])];
  return all.flatMap((one) => {
    const { system, value } = one;
    return system && value && (system === IDENTIFIER_SYSTEMS.dicomUid || isExamNumber(one))
      ? [{ type: 'DiagnosticReport', system, value }]
      : [];
  });
}

const isExamNumber = (one: Identifier) =>
  one.type?.coding?.some(({ code }) => ['ACSN', 'PLAC', 'FILL'].includes(code ?? '')) ?? false;

const hasNumber = (report: DiagnosticReport, { system, value }: TypedIdentifier) =>
  report.identifier?.some((one) => one.system === system && one.value === value) ?? false;

async function isSamePatient(
  store: ResourceStore,
  report: DiagnosticReport,
  patient: Patient,
  sql?: Sql,
): Promise<boolean> {
  const id = /(?:^|\/)Patient\/([^/]+)$/.exec(report.subject?.reference ?? '')?.[1];
  if (id === undefined) return false;
  if (id === patient.id) return true;
  const other = await store.read('Patient', id, sql);
  const numbers = other === null || other.deleted ? [] : (other.parse<Patient>().identifier ?? []);
  return numbers.some((one) =>
    patient.identifier?.some(({ system, value }) => value === one.value && system === one.system),
  );
}
