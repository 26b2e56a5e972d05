import type {
  DiagnosticReport,
  ImagingStudy,
  Media,
  Observation,
  Provenance,
  Reference,
  Resource,
} from '@medplum/fhirtypes';
import { reportId } from '../../governance/analysis-task.ts';
import type { RegisteredModel } from '../../governance/check-model.ts';
import { deviceId } from '../../governance/manifest-to-device.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS, PROFILES, RADIOLOGY_CATEGORY } from '../../kernel/code-systems.ts';
import type { FindingsCoded } from '../../kernel/handoffs.ts';
import { stableId } from '../../kernel/stable-id.ts';
import { NO_PRIORS, type Priors } from './choose-priors.ts';
import { conclude } from './conclude.ts';
import { findingToObservation, type ObservationContext } from './finding-to-observation.ts';
import { sayPriors } from './say-priors.ts';

/** The FHIR record of one analysis; every output (ORU, SR, worklist row) is a projection of it. */
export interface AnalysisRecord {
  readonly report: DiagnosticReport & Kept;
  readonly observations: readonly (Observation & Kept)[];
  readonly provenance: Provenance & Kept;
  /** What describes the key picture; its bytes are in a Binary already. */
  readonly picture: (Media & Kept) | null;
}

/** The id is known before it is written. */
export interface Kept {
  id: string;
}

/** What the record knows beside the study: why the exam was asked for, and earlier results. */
export interface Surroundings {
  readonly reason: string | null;
  readonly priors: Priors;
}

const NOTHING_AROUND: Surroundings = { reason: null, priors: NO_PRIORS };

/** Findings → Observations, DiagnosticReport, Provenance. Pure: ids follow from study, model and finding. */
export function findingsToRecord(
  coded: FindingsCoded,
  study: ImagingStudy,
  model: RegisteredModel,
  now: Date,
  { reason, priors }: Surroundings = NOTHING_AROUND,
): AnalysisRecord {
  const context = { ...contextOf(coded, study, model, now), priors: priors.byKey };
  const observations = coded.findings.map((finding) => findingToObservation(finding, context));
  const id = reportId(coded.studyInstanceUid, coded.model);
  const picture = coded.keyPicture ? pictureOf(coded, coded.keyPicture, context) : null;
  const report: DiagnosticReport & Kept = {
    resourceType: 'DiagnosticReport',
    id,
    meta: { profile: [PROFILES.report] },
    identifier: [
      { system: IDENTIFIER_SYSTEMS.analysis, value: analysisValue(coded) },
      { system: IDENTIFIER_SYSTEMS.filler, value: fillerNumber(coded) },
    ],
    ...(study.basedOn ? { basedOn: study.basedOn as DiagnosticReport['basedOn'] } : {}),
    status: 'preliminary',
    category: [
      { coding: [{ ...RADIOLOGY_CATEGORY }] },
      { coding: [{ system: CODE_SYSTEMS.v2Diagnostic, code: 'RAD', display: 'Radiology' }] },
    ],
    code: { coding: [{ ...model.manifest.report.code }], text: model.manifest.title },
    subject: study.subject as DiagnosticReport['subject'],
    ...(study.encounter ? { encounter: study.encounter } : {}),
    ...(context.effective ? { effectiveDateTime: context.effective } : { effectiveDateTime: context.issued }),
    issued: context.issued,
    result: observations.map((observation) => ({ reference: `Observation/${observation.id}` })),
    imagingStudy: [{ reference: `ImagingStudy/${study.id}` }],
    ...(picture ? { media: [{ comment: 'Key picture', link: { reference: `Media/${picture.id}` } }] } : {}),
    conclusion: conclude(coded.findings, model.manifest.report.caution, coded.warnings, {
      ...(reason ? { reason } : {}),
      priors: sayPriors(coded.findings, priors),
    }),
  };
  return {
    report,
    observations,
    provenance: provenanceOf(coded, study, model, [report, ...observations], now),
    picture,
  };
}

/** Same study, model version and inputs: same value. */
export const analysisValue = (coded: FindingsCoded) =>
  `${coded.studyInstanceUid}|${coded.model}|${coded.inputsDigest}`;

/** Our own filler number (OBR-3), never the radiologist's: short, and the same for every version of this report. */
const fillerNumber = (coded: FindingsCoded) =>
  `AI${stableId('filler', coded.studyInstanceUid, coded.model).replaceAll('-', '').slice(0, 14).toUpperCase()}`;

function contextOf(
  coded: FindingsCoded,
  study: ImagingStudy,
  model: RegisteredModel,
  now: Date,
): Omit<ObservationContext, 'priors'> {
  return {
    studyInstanceUid: coded.studyInstanceUid,
    model: coded.model,
    subject: study.subject as Reference,
    ...(study.encounter ? { encounter: study.encounter as Reference } : {}),
    ...(study.basedOn ? { basedOn: study.basedOn as Reference[] } : {}),
    imagingStudy: { reference: `ImagingStudy/${study.id}` },
    device: {
      reference: `Device/${deviceId(model.manifest)}`,
      display: `${model.manifest.title} ${model.manifest.version}`,
    },
    effective: study.started ?? null,
    issued: now.toISOString(),
  };
}

function pictureOf(coded: FindingsCoded, binaryId: string, context: ObservationContext): Media & Kept {
  return {
    resourceType: 'Media',
    id: binaryId,
    status: 'completed',
    type: { text: 'Key picture of an AI result' },
    subject: context.subject as Media['subject'],
    createdDateTime: context.issued,
    device: context.device as Media['device'],
    ...(coded.keySopInstanceUid
      ? { identifier: [{ system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${coded.keySopInstanceUid}` }] }
      : {}),
    content: { contentType: 'image/png', url: `Binary/${binaryId}` },
  };
}

/** Who made it, out of what: model, checksum of its file, digest of its inputs (US Core, and our own replay). */
function provenanceOf(
  coded: FindingsCoded,
  study: ImagingStudy,
  model: RegisteredModel,
  targets: readonly Resource[],
  now: Date,
): Provenance & Kept {
  const { manifest } = model;
  return {
    resourceType: 'Provenance',
    id: stableId('provenance', coded.studyInstanceUid, coded.model),
    target: targets.map((target) => ({ reference: `${target.resourceType}/${target.id}` })),
    recorded: now.toISOString(),
    activity: { text: 'Analysis by a model' },
    agent: [{ type: { text: 'model' }, who: { reference: `Device/${deviceId(manifest)}` } }],
    entity: [
      {
        role: 'source',
        what: {
          reference: `ImagingStudy/${study.id}`,
          identifier: { system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${coded.seriesInstanceUid}` },
        },
      },
      {
        role: 'source',
        what: {
          identifier: { system: IDENTIFIER_SYSTEMS.modelChecksum, value: manifest.file.sha256 },
          display: `File of ${coded.model}`,
        },
      },
      {
        role: 'source',
        what: {
          identifier: { system: IDENTIFIER_SYSTEMS.inputsDigest, value: coded.inputsDigest },
          display: 'Tensors the model was given',
        },
      },
    ],
  };
}
