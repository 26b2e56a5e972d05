import type { DicomJson } from '../dicom/study-source.ts';
import type { InstanceOutcome } from './archive-intake.ts';

export interface StowAnswer {
  /** 200 all stored, 202 some, 409 none, 400 nothing was sent (PS3.18 10.5.3). */
  readonly status: 200 | 202 | 400 | 409;
  readonly body: DicomJson;
}

/** The Store Instances Response (PS3.18 10.5.3.2). `root`: service root of the archive, for the Retrieve URLs. */
export function stowAnswer(outcomes: readonly InstanceOutcome[], root: string): StowAnswer {
  const stored = outcomes.filter((outcome) => outcome.failure === null);
  const failed = outcomes.filter((outcome) => outcome.failure !== null && outcome.sopInstanceUid !== null);
  const unnamed = outcomes.filter((outcome) => outcome.failure !== null && outcome.sopInstanceUid === null);
  const studies = new Set(stored.map((outcome) => outcome.studyInstanceUid));
  const body: Record<string, DicomJson[string]> = {};
  if (studies.size === 1) body['00081190'] = { vr: 'UR', Value: [`${root}/studies/${[...studies][0]}`] };
  if (failed.length > 0) {
    body['00081198'] = {
      vr: 'SQ',
      Value: failed.map((outcome) => ({ ...reference(outcome), ...reason(outcome) })),
    };
  }
  if (stored.length > 0) {
    body['00081199'] = {
      vr: 'SQ',
      Value: stored.map((outcome) => ({
        ...reference(outcome),
        '00081190': {
          vr: 'UR',
          Value: [
            `${root}/studies/${outcome.studyInstanceUid}/series/${outcome.seriesInstanceUid}/instances/${outcome.sopInstanceUid}`,
          ],
        },
      })),
    };
  }
  // Other Failures Sequence: what could not be read far enough to have a UID.
  if (unnamed.length > 0) body['0008119A'] = { vr: 'SQ', Value: unnamed.map(reason) };
  const status =
    outcomes.length === 0 ? 400 : stored.length === outcomes.length ? 200 : stored.length === 0 ? 409 : 202;
  return { status, body };
}

function reference(outcome: InstanceOutcome): DicomJson {
  return {
    '00081150': { vr: 'UI', Value: [outcome.sopClassUid] },
    '00081155': { vr: 'UI', Value: [outcome.sopInstanceUid] },
  };
}

function reason(outcome: InstanceOutcome): DicomJson {
  return { '00081197': { vr: 'US', Value: [outcome.failure] } };
}
