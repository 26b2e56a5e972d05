import type {
  Device,
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  Observation,
  Patient,
  ServiceRequest,
} from '@medplum/fhirtypes';
import type { RisProfile } from './profile-settings.ts';

/** One version of the record, and what a message needs besides. */
export interface OruInput {
  readonly report: DiagnosticReport;
  /** In the order of `report.result`. */
  readonly observations: readonly Observation[];
  readonly patient: Patient;
  readonly encounter?: Encounter;
  readonly serviceRequest?: ServiceRequest;
  readonly imagingStudy: ImagingStudy;
  readonly device: Device;
  readonly profile: RisProfile;
  /** MSH-10, 20 characters at most, unique for ever. */
  readonly controlId: string;
  /** MSH-7 and OBR-22; must rise with each version, or receivers drop the later one as a repeat. */
  readonly now: Date;
  /** The last message about this report that was made for the same receiver. */
  readonly previous?: PreviousMessage;
}

/** What the receiver was told before: what changed is told by it, and lines keep their OBX-4. */
export interface PreviousMessage {
  readonly raw: Buffer;
  /** OBR-25. */
  readonly result: string;
  readonly lineIds: LineIds;
}

/** OBX-4 by id of the Observation; those of lines that were withdrawn stay taken. */
export type LineIds = Readonly<Record<string, string>>;
