import type { Urgency } from './urgency.ts';

/**
 * One row of the clinician's worklist: one analysis (FHIR Task) of one study by one model. It is a projection of the FHIR
 * record and holds nothing of its own. The page and the server share this type.
 */
export interface WorklistRow {
  /** Id of the Task. */
  readonly id: string;
  readonly status: RowStatus;
  /** What the analysis is doing now, while it runs. */
  readonly stage: string | null;
  readonly urgency: Urgency;
  readonly patient: RowPatient;
  readonly exam: RowExam;
  readonly order: RowOrder;
  readonly model: { readonly id: string; readonly version: string } | null;
  readonly findings: readonly RowFinding[];
  readonly conclusion: string | null;
  /** Why the gate refused; empty unless `status` is `refused`. */
  readonly refusals: readonly RowVerdict[];
  /** Why the analysis failed, in words; null unless `status` is `failed`. */
  readonly failure: string | null;
  /** What the gate let through with a warning. */
  readonly warnings: readonly RowVerdict[];
  readonly report: { readonly id: string; readonly status: string; readonly issued: string | null } | null;
  /** Earlier studies that the PACS has and nobody analysed; `asked` false: the PACS did not answer. null: nothing to say. */
  readonly priorStudies: { readonly studies: readonly string[]; readonly asked: boolean } | null;
  /** Changes when the picture changes; the bytes are at `api/pictures/<row id>`. */
  readonly picture: { readonly id: string; readonly title: string | null } | null;
  readonly requestedAt: string | null;
  readonly finishedAt: string | null;
}

export type RowStatus =
  | 'waiting'
  | 'running'
  | 'preliminary'
  | 'reviewed'
  | 'refused'
  | 'failed'
  | 'retracted';

export interface RowPatient {
  /** null: the record has no Patient for this analysis. */
  readonly id: string | null;
  readonly name: string | null;
  readonly mrn: string | null;
  readonly sex: string | null;
  readonly birthDate: string | null;
  /** At the time of the exam: `64 y`, `7 mo`, `12 d`. */
  readonly age: string | null;
}

export interface RowExam {
  readonly id: string | null;
  readonly description: string | null;
  readonly modality: string | null;
  readonly studyInstanceUid: string | null;
  /** Start of the exam, or the time of the request when the study does not say. ISO 8601. */
  readonly since: string | null;
  /** Why it was asked for, by the order or else by the images. */
  readonly reason: string | null;
}

export interface RowOrder {
  /** false: no ServiceRequest was found for the study, so nobody checked that patient and order agree. */
  readonly matched: boolean;
  readonly id: string | null;
  readonly accession: string | null;
  readonly priority: 'routine' | 'urgent' | 'asap' | 'stat' | null;
}

export interface RowFinding {
  /** Id of the Observation. */
  readonly id: string;
  readonly label: string;
  readonly presence: 'present' | 'indeterminate' | 'absent' | null;
  /** 0 to 1. */
  readonly score: number | null;
  /** On the scale of `score`, or of `value` for a measurement. */
  readonly threshold: number | null;
  readonly value: number | null;
  readonly unit: string | null;
  readonly abnormal: boolean;
  /** ACR actionable category. */
  readonly actionable: 1 | 2 | 3 | null;
  readonly codes: readonly RowCode[];
  /** Earlier results of the same finding, newest first. */
  readonly priors: readonly RowPrior[];
}

/** An earlier result of the same model for the same patient. */
export interface RowPrior {
  /** When its images were made. */
  readonly taken: string;
  readonly value: number | null;
  readonly unit: string | null;
  readonly presence: RowFinding['presence'];
  /** New value minus this one; null where the two are not compared. */
  readonly change: number | null;
  /** Why they are not; null: they are. */
  readonly caution: 'model-version' | 'unit' | 'laterality' | null;
  /** Of the model that made it. */
  readonly modelVersion: string | null;
}

export interface RowCode {
  readonly system: 'SNOMED CT' | 'RadLex' | 'LOINC';
  /** null: there is no code, either because the system is known to have none, or because nobody mapped it. */
  readonly code: string | null;
  readonly display: string | null;
  /** How the code fits the finding; `none` is an explicit "this system has no such concept". */
  readonly match: 'exact' | 'narrower' | 'broader' | 'none' | 'not mapped';
}

/** A verdict of one rule of the gate. `observed` and `required` are null when the record only has a sentence. */
export interface RowVerdict {
  readonly rule: string | null;
  readonly observed: string | null;
  readonly required: string | null;
  readonly text: string;
}
