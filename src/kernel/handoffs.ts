/**
 * One type per arrow of the way. A handoff carries ids, UIDs and numbers; never a name, never an accession number.
 * It is kept in the outbox, so it must survive JSON.
 */

/** archive or PACS watch → study: something of this study is there. */
export interface StudySeen {
  readonly studyInstanceUid: string;
  /** Digest of whose study it is and by which number, as the PACS lists it; left out where nothing is listed. */
  readonly identity?: string;
}

/** study → subscriptions: the ImagingStudy is written with status `available`. */
export interface StudyAvailable {
  readonly imagingStudyId: string;
  readonly studyInstanceUid: string;
}

/** Subscription or `$analyze` → analysis: this model is asked to look at this study. */
export interface AnalysisRequested {
  readonly imagingStudyId: string;
  /** Model id, with `@version` or without (then the newest). */
  readonly model: string;
}

/** The queue of the step that takes up an analysis; Subscriptions and `$analyze` write to it (see `flow/study-flow.ts`). */
export const ANALYSIS_QUEUE = 'analysis';

/** analysis → quality. The Task is the visible thread of one analysis. */
export interface AnalysisAccepted {
  readonly taskId: string;
  readonly imagingStudyId: string;
  readonly studyInstanceUid: string;
  /** `<id>@<version>` */
  readonly model: string;
  /** Version of the ImagingStudy that it was asked for; left out by an older server. */
  readonly studyVersion?: string;
}

/** priors → nobody: what the PACS has of the patient and the record has not is listed beside the study. */
export interface PriorsListed {
  readonly imagingStudyId: string;
}

/** quality → inference: the chosen series fits the model. */
export interface GatePassed extends AnalysisAccepted {
  readonly seriesInstanceUid: string;
  /** In the order in which the pixels are stacked. */
  readonly sopInstanceUids: readonly string[];
  readonly warnings: readonly GateVerdict[];
}

/** What one rule of the gate says of a study. Refusals and warnings have the same shape. */
export interface GateVerdict {
  /** Rule name, also the code in the refusal code system: `body-part`. */
  readonly rule: string;
  /** What was seen, in words a technologist understands. No patient data. */
  readonly observed: string;
  /** What the model needs. */
  readonly required: string;
}

/** A small output of a model; large ones (masks, heat maps) are used up inside inference. */
export interface SmallTensor {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

/**
 * Where something lies in a stored image. Coordinates are those of DICOM's SCOORD (PS3.3 C.18.6): pixels of the stored frame, x to the
 * right, y down, (0, 0) the outer corner of the first pixel and (columns, rows) that of the last, so the centre of a pixel lies at a half.
 */
export interface FindingLocation {
  readonly sopInstanceUid: string;
  /** From 1; 1 for an instance of one frame. */
  readonly frame: number;
  /** Left, top, right, bottom. */
  readonly box: readonly [number, number, number, number];
  /** Outline x, y, x, y …, closed without repeating its first point; null where only the box is known. */
  readonly polygon: readonly number[] | null;
  /** Score of this place, 0 to 1; null where the finding as a whole has the only one. */
  readonly score: number | null;
}

/** What a model's picture (boxes, mask, heat map) shows at one place. */
export interface ResultRegion {
  /** Label of the output. */
  readonly label: string;
  readonly location: FindingLocation;
  /** Of a mask: mL of the whole region in a volume, mm² in an image; null where the files lack the distances, and for boxes. */
  readonly size: number | null;
}

/** inference → findings */
export interface Inferred extends GatePassed {
  readonly outputs: Readonly<Record<string, SmallTensor>>;
  /** Per output that is a picture: its regions, best first. Left out where the model has no such output. */
  readonly regions?: Readonly<Record<string, readonly ResultRegion[]>>;
  /** SHA-256 over the tensors the model got: the same inputs give the same digest. */
  readonly inputsDigest: string;
  /** Id of the Binary with the PNG, when the model's kind gives a picture. */
  readonly keyPicture: string | null;
  /** The instance the key picture was drawn from. */
  readonly keySopInstanceUid: string | null;
  readonly inferenceMs: number;
}

/** findings → report */
export interface FindingsCoded extends Inferred {
  readonly findings: readonly Finding[];
}

export type Presence = 'present' | 'indeterminate' | 'absent';

export interface Finding {
  /** Key of the finding in the manifest: `pneumothorax`, `laa-950`. */
  readonly key: string;
  readonly label: string;
  /** Presence findings have `presence` (and mostly `score`); measurements have `value` and `unit`. */
  readonly kind: 'presence' | 'measurement';
  readonly presence: Presence | null;
  /** Calibrated score, 0 to 1. */
  readonly score: number | null;
  /** The threshold that decided, on the same scale as `score` (or as `value` for a measurement with a cut). */
  readonly threshold: number | null;
  readonly value: number | null;
  /** UCUM code. */
  readonly unit: string | null;
  readonly codes: readonly FindingCode[];
  /** ACR actionable category (1 minutes, 2 hours, 3 days), when the finding is present and the manifest says so. */
  readonly actionable: 1 | 2 | 3 | null;
  /** Where it lies, best first; left out where the model does not say. */
  readonly locations?: readonly FindingLocation[];
}

/** A code of a finding, or an explicit "this system has none". */
export interface FindingCode {
  readonly system: string;
  /** null: the code system has no matching concept, and that is known. */
  readonly code: string | null;
  readonly display: string | null;
  readonly match: 'exact' | 'narrower' | 'broader' | 'none';
}

/** report → ris (and later pacs, alert): the record is written. */
export interface ReportWritten {
  readonly diagnosticReportId: string;
  readonly versionId: number;
  /** Messages about one patient leave in order. */
  readonly patientId: string;
  /** For this receiver of result messages only; left out: for each that wants it. */
  readonly destination?: string;
  /** Id of the message that a new one is asked for in place of, though the version of the report is the same. */
  readonly rebuildOf?: string;
  /** Somebody outside the way has edited a finding, and the version of the report is the same (0 here): told to those who would see another content. */
  readonly findingEdited?: true;
  /** Its study was looked at anew, and the version of the report is the same (0 here): told to those who have it under a patient or numbers that are another's. */
  readonly ifMisplaced?: true;
}

/** The queue of the step that makes result messages. */
export const RIS_MESSAGE_QUEUE = 'ris-message';

/** pacs objects → pacs store: the DICOM objects of this version of the report are made and kept. */
export interface PacsObjectsMade {
  readonly diagnosticReportId: string;
  readonly versionId: number;
  /** Objects of one study are stored in order. */
  readonly studyInstanceUid: string;
}

/** The queue of the step that makes DICOM objects of a report; a change of a report from outside the way writes to it too. */
export const PACS_OBJECTS_QUEUE = 'pacs-objects';

/** ris message → ris send: the bytes are stored, with their control id, as the last of their lane. */
export interface OruStored extends LaneDue {
  readonly messageId: string;
}

/** What a lane's job carries: it sends all that waits there. */
export interface LaneDue {
  /** Destination and patient: one message of a lane is in flight at a time. */
  readonly lane: string;
  /** Name of the destination; left out for the one of `RIS_URL`. */
  readonly destination?: string;
}

/** The job that sends what waits in a lane, whichever message it is written for. */
export const laneJob = ({ lane, destination }: LaneDue) => ({
  queue: risSendQueue(destination),
  key: lane,
  payload: destination === undefined ? { lane } : { lane, destination },
});

/** Each named destination has a queue of its own: one that is away or held does not take the places of the others. */
export const risSendQueue = (destination?: string): string =>
  destination === undefined ? 'ris-send' : `ris-send@${destination}`;

/** HL7 inlet → filing: messages are stored and answered. Says nothing of which: filing takes what is not filed, in order. */
export interface MessageStored {
  /** Instead: look whether something was written for this merged patient since. */
  readonly retiredPatientId?: string;
  /** How often that was looked at before. */
  readonly looks?: number;
}

/** Filing hands on nothing: what it writes is announced by its changes. */
export type MessageFiled = Readonly<Record<string, never>>;

/** The queue of the step that files stored messages; the inlet writes to it, with `FILING_KEY`, after they are stored. */
export const FILING_QUEUE = 'filing';

/** One job is enough for however many messages wait. */
export const FILING_KEY = 'filing';
