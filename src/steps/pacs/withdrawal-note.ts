import type { Device, DiagnosticReport } from '@medplum/fhirtypes';
import type { DicomJson } from '../../dicom/study-source.ts';
import type { RejectionNote } from '../../dicom/write-rejection-note.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { dicomMoment } from './dicom-moment.ts';
import type { KnownObject } from './pacs-object.store.ts';
import { deviceIdOf } from './read-result-record.ts';
import { algorithmOf, noteUids } from './record-to-plan.ts';
import { instanceNumberOf, perhapsShown, referenceTo, standing } from './standing.ts';

/** `quality`: the result was withdrawn; `safety`: it should never have been there. */
export type WithdrawalReason = 'quality' | 'safety';

/**
 * Why nothing of the report may stand in the PACS; null when it may. A report that was deleted is nowhere any more: nobody may see what was made of it.
 */
export function withdrawalReason(report: DiagnosticReport | null): WithdrawalReason | null {
  if (report === null || report.status === 'entered-in-error') return 'safety';
  return report.status === 'cancelled' ? 'quality' : null;
}

/** What a note must name. Withdrawn once is enough, but what was withdrawn or replaced for its quality may still be shown when it is said to be an error. */
export const toBeWithdrawn = (reason: WithdrawalReason, earlier: readonly KnownObject[]): KnownObject[] =>
  reason === 'safety' ? perhapsShown(earlier) : standing(earlier);

export interface WithdrawalAsked {
  readonly reportId: string;
  readonly reportVersion: number;
  readonly reason: WithdrawalReason;
  readonly earlier: readonly KnownObject[];
  readonly rejected: readonly KnownObject[];
  readonly studyInstanceUid: string;
  /** Of the report; null when the record has it no more. */
  readonly model: string | null;
  /** When it was withdrawn. */
  readonly at: string;
  /** Metadata of one instance of the study. */
  readonly source: DicomJson;
  readonly timeZone: string | null;
}

/** The note needs nothing of the record but the model's Device, for the findings may be gone with the report; without one it names the model as far as it is known. */
export async function withdrawalNote(store: ResourceStore, asked: WithdrawalAsked): Promise<RejectionNote> {
  const { reportId, reportVersion, earlier, source } = asked;
  const device = (await deviceOf(store, asked.model)) ?? unknownDevice(asked.model);
  return {
    context: {
      source,
      algorithm: algorithmOf(device),
      moment: dicomMoment(asked.at, source, asked.timeZone),
    },
    studyInstanceUid: asked.studyInstanceUid,
    ...noteUids(reportId, reportVersion, earlier),
    instanceNumber: instanceNumberOf('ko', reportVersion, earlier),
    reason: asked.reason,
    rejected: asked.rejected.map(referenceTo),
  };
}

async function deviceOf(store: ResourceStore, model: string | null): Promise<Device | null> {
  if (model === null) return null;
  const kept = await store.read('Device', deviceIdOf(model));
  return kept && !kept.deleted ? kept.parse<Device>() : null;
}

function unknownDevice(model: string | null): Device {
  const [id = 'model', version = 'unknown'] = model?.split('@') ?? [];
  return { resourceType: 'Device', id, modelNumber: id, version: [{ value: version }] };
}
