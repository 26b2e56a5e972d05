import type { CodeableConcept, Coding, Observation, Reference } from '@medplum/fhirtypes';
import { locationToExtension } from '../../governance/image-region.ts';
import { type PriorResult, priorToExtension } from '../../governance/prior-result.ts';
import {
  ACTIONABLE_EXTENSION,
  CODE_SYSTEMS,
  IDENTIFIER_SYSTEMS,
  MATCH_GRADE_EXTENSION,
  NO_MATCHING_CODE_EXTENSION,
  PROFILES,
} from '../../kernel/code-systems.ts';
import type { Finding, FindingCode, Presence } from '../../kernel/handoffs.ts';
import { stableId } from '../../kernel/stable-id.ts';

/** What all Observations of one analysis share. */
export interface ObservationContext {
  readonly studyInstanceUid: string;
  /** `<id>@<version>` */
  readonly model: string;
  readonly subject: Reference;
  readonly encounter?: Reference;
  readonly basedOn?: Reference[];
  readonly imagingStudy: Reference;
  readonly device: Reference;
  /** Acquisition time of the images, when known. */
  readonly effective: string | null;
  readonly issued: string;
  /** Earlier results of the same finding, by its key. */
  readonly priors: ReadonlyMap<string, readonly PriorResult[]>;
}

const observationId = (studyInstanceUid: string, model: string, key: string) =>
  stableId('observation', studyInstanceUid, model, key);

/**
 * One finding as FHIR R4 Observation. Presence is a coded value (SNOMED CT qualifier), a measurement a UCUM quantity; score
 * and threshold stand beside it as components, so that nobody takes a raw score for a probability of disease.
 */
export function findingToObservation(
  finding: Finding,
  context: ObservationContext,
): Observation & { id: string } {
  return {
    resourceType: 'Observation',
    id: observationId(context.studyInstanceUid, context.model, finding.key),
    meta: { profile: [PROFILES.finding] },
    ...extensionsOf(finding, context.priors.get(finding.key) ?? []),
    identifier: [
      {
        system: IDENTIFIER_SYSTEMS.analysis,
        value: `${context.studyInstanceUid}|${context.model}|${finding.key}`,
      },
    ],
    ...(context.basedOn ? { basedOn: context.basedOn as Observation['basedOn'] } : {}),
    status: 'preliminary',
    category: [
      { coding: [{ system: CODE_SYSTEMS.observationCategory, code: 'imaging', display: 'Imaging' }] },
    ],
    code: findingConcept(finding),
    subject: context.subject as Observation['subject'],
    ...(context.encounter ? { encounter: context.encounter as Observation['encounter'] } : {}),
    ...(context.effective ? { effectiveDateTime: context.effective } : {}),
    issued: context.issued,
    ...answerOf(finding),
    ...interpretationOf(finding),
    device: context.device as Observation['device'],
    derivedFrom: [context.imagingStudy as NonNullable<Observation['derivedFrom']>[number]],
    ...componentsOf(finding),
  };
}

function extensionsOf(
  { actionable, locations = [] }: Finding,
  priors: readonly PriorResult[],
): Pick<Observation, 'extension'> {
  const extension = [
    ...(actionable ? [{ url: ACTIONABLE_EXTENSION, valueInteger: actionable }] : []),
    ...locations.map(locationToExtension),
    ...priors.map(priorToExtension),
  ];
  return extension.length > 0 ? { extension } : {};
}

/**
 * Our own code first, then SNOMED CT and RadLex. A system known to have no such concept is named in an extension rather than
 * left out: absence is a statement.
 */
function findingConcept(finding: Finding): CodeableConcept {
  const known = finding.codes.filter((code) => code.code !== null).map(codeToCoding);
  const none = finding.codes.filter((code) => code.code === null);
  return {
    ...(none.length > 0
      ? {
          extension: none.map((code) => ({
            url: NO_MATCHING_CODE_EXTENSION,
            valueUri: code.system,
          })),
        }
      : {}),
    coding: [{ system: CODE_SYSTEMS.finding, code: finding.key, display: finding.label }, ...known],
    text: finding.label,
  };
}

function codeToCoding(code: FindingCode): Coding {
  return {
    ...(code.match === 'exact' ? {} : { extension: [{ url: MATCH_GRADE_EXTENSION, valueCode: code.match }] }),
    system: code.system,
    code: String(code.code),
    ...(code.display ? { display: code.display } : {}),
  };
}

/** SNOMED CT qualifier values, in the Global Patient Set. */
const PRESENCE: Record<Presence, Coding> = {
  present: { system: CODE_SYSTEMS.sct, code: '52101004', display: 'Present' },
  indeterminate: { system: CODE_SYSTEMS.sct, code: '82334004', display: 'Indeterminate' },
  absent: { system: CODE_SYSTEMS.sct, code: '2667000', display: 'Absent' },
};

function answerOf(finding: Finding): Partial<Observation> {
  if (finding.kind === 'measurement')
    return { valueQuantity: quantity(finding.value ?? 0, finding.unit ?? '1') };
  const coding = PRESENCE[finding.presence ?? 'indeterminate'];
  return { valueCodeableConcept: { coding: [coding], text: String(coding.display) } };
}

const ABNORMAL: Coding = { system: CODE_SYSTEMS.interpretation, code: 'A', display: 'Abnormal' };

function interpretationOf(finding: Finding): Partial<Observation> {
  return finding.presence === 'present' ? { interpretation: [{ coding: [ABNORMAL] }] } : {};
}

function componentsOf(finding: Finding): Partial<Observation> {
  const parts = [
    ['score', 'Score of the model', finding.score, '1'],
    [
      'threshold',
      'Threshold',
      finding.threshold,
      finding.kind === 'measurement' ? (finding.unit ?? '1') : '1',
    ],
  ] as const;
  const component = parts
    .filter(([, , value]) => value !== null)
    .map(([code, display, value, unit]) => ({
      code: { coding: [{ system: CODE_SYSTEMS.finding, code, display }] },
      valueQuantity: quantity(value as number, unit),
    }));
  return component.length > 0 ? { component } : {};
}

/** Scores with more digits than a float has mean nothing; four are kept. */
function quantity(value: number, unit: string) {
  return {
    value: Number(value.toFixed(4)),
    ...(unit === '1' ? {} : { unit }),
    system: CODE_SYSTEMS.ucum,
    code: unit,
  };
}
