import type { ImagingStudy, Observation } from '@medplum/fhirtypes';
import {
  PRIORS_MAX,
  type PriorCaution,
  type PriorResult,
  recordedPresence,
} from '../../governance/prior-result.ts';
import type { NearStudy, StudyContext } from '../../governance/study-context.store.ts';
import { asNearStudy, regionsOfStudy, sameRegion } from '../../governance/study-region.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import type { Finding, FindingsCoded } from '../../kernel/handoffs.ts';

export interface Priors {
  /** By finding key: earlier results of the same finding, newest first. */
  readonly byKey: ReadonlyMap<string, readonly PriorResult[]>;
  /** When the newest later study was made that this model has reported already; null when this one is the newest. */
  readonly laterTaken: string | null;
}

export const NO_PRIORS: Priors = { byKey: new Map(), laterTaken: null };

/**
 * The earlier results that may stand beside the new ones: same patient (or a record merged with theirs), modality and region, made before this
 * study, by this model. They are subtracted only where version, unit and side agree; otherwise they are shown with the reason. Pure.
 */
export function choosePriors(
  coded: FindingsCoded,
  study: ImagingStudy,
  context: Pick<StudyContext, 'patientIds' | 'studies' | 'observations'>,
): Priors {
  const own = regionsOfStudy(asNearStudy(study));
  const side = sideOf(asNearStudy(study), coded.seriesInstanceUid);
  const fitting = new Map(
    context.studies
      .filter((near) => sameRegion(own, regionsOfStudy(near)))
      .map((near) => [`ImagingStudy/${near.id}`, near]),
  );
  const results = context.observations.flatMap((observation) => {
    const near = fitting.get(observation.derivedFrom?.[0]?.reference ?? '');
    const made = madeBy(observation);
    const patient = observation.subject?.reference?.split('/')[1] ?? '';
    const usable =
      near &&
      made?.id === modelId(coded.model) &&
      USED.has(observation.status) &&
      context.patientIds.includes(patient);
    return usable ? [{ observation, near, version: made.version, key: made.key }] : [];
  });
  const ofThisVersion = results.filter(({ version }) => version === versionOf(coded.model));
  const byKey = new Map<string, readonly PriorResult[]>();
  for (const finding of coded.findings) {
    const priors = results
      .filter(({ key, near }) => key === finding.key && isBefore(near.started, study.started))
      .sort((a, b) => Date.parse(b.near.started) - Date.parse(a.near.started))
      .map(({ observation, near, version }) =>
        priorOf(
          finding,
          observation,
          near.started,
          version,
          cautionOf(finding, observation, {
            sameVersion: version === versionOf(coded.model),
            sameSide: side === sideOf(near, null),
          }),
        ),
      );
    const kept = oncePerStudy(priors).slice(0, PRIORS_MAX);
    if (kept.length > 0) byKey.set(finding.key, kept);
  }
  return {
    byKey,
    laterTaken: newestAfter(
      ofThisVersion.map(({ near }) => near.started),
      study.started,
    ),
  };
}

/** Results that stand: neither withdrawn nor not yet given. */
const USED: ReadonlySet<string> = new Set(['preliminary', 'final', 'amended', 'corrected']);

function priorOf(
  finding: Finding,
  observation: Observation & { id: string },
  taken: string,
  modelVersion: string,
  caution: PriorCaution | null,
): PriorResult {
  const value = finding.kind === 'measurement' ? (observation.valueQuantity?.value ?? null) : null;
  const presence = finding.kind === 'presence' ? recordedPresence(observation) : null;
  const compared = caution === null && value !== null && finding.value !== null;
  return {
    observationId: observation.id,
    taken,
    modelVersion,
    value,
    unit: value === null ? null : (observation.valueQuantity?.code ?? null),
    presence,
    change: compared ? difference(finding.value, value) : null,
    caution,
  };
}

/** To the digits that both numbers have: 3.3 − 3.2 is 0.1, not 0.0999…. */
export function difference(value: number, before: number): number {
  const digits = Math.max(...[value, before].map((one) => (String(one).split('.')[1] ?? '').length));
  return Number((value - before).toFixed(Math.min(digits, 4)));
}

/** Another version is said first: its unit and side may be meant otherwise too. */
function cautionOf(
  finding: Finding,
  observation: Observation,
  { sameVersion, sameSide }: { sameVersion: boolean; sameSide: boolean },
): PriorCaution | null {
  if (!sameVersion) return 'model-version';
  if (!sameSide) return 'laterality';
  const unit = observation.valueQuantity?.code ?? null;
  return finding.kind === 'measurement' && unit !== (finding.unit ?? '1') ? 'unit' : null;
}

/** Two versions of the model may have looked at one study: the result that can be compared stands for it. */
function oncePerStudy(priors: readonly PriorResult[]): PriorResult[] {
  const byTime = Map.groupBy(priors, ({ taken }) => taken);
  return [...byTime.values()].flatMap(
    (group) => group.find(({ caution }) => caution === null) ?? group[0] ?? [],
  );
}

/** `<study uid>|<id>@<version>|<key>` is the identifier that the report step gives a finding. */
function madeBy(observation: Observation): { id: string; version: string; key: string } | null {
  const value = observation.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.analysis)?.value;
  const [, model = '', key = ''] = value?.split('|') ?? [];
  const coded = observation.code?.coding?.some(
    (one) => one.system === CODE_SYSTEMS.finding && one.code === key,
  );
  return model.includes('@') && coded ? { id: modelId(model), version: versionOf(model), key } : null;
}

const modelId = (ref: string) => ref.split('@')[0] ?? '';
const versionOf = (ref: string) => ref.split('@')[1] ?? '';

const DAY_CHARACTERS = 10;

/** Surely earlier: two times of one day of which one is a bare date say nothing. */
function isBefore(taken: string, now: string | undefined): boolean {
  if (now === undefined) return false;
  const bare = taken.length <= DAY_CHARACTERS || now.length <= DAY_CHARACTERS;
  const shorter = Math.min(taken.length, now.length, DAY_CHARACTERS);
  if (bare && taken.slice(0, shorter) === now.slice(0, shorter)) return false;
  return Date.parse(taken) < Date.parse(now);
}

function newestAfter(times: readonly string[], now: string | undefined): string | null {
  const later = times.filter((time) => now !== undefined && isBefore(now, time));
  return later.sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? null;
}

/** Side of one series, or the one side that all series of a study name; '' for none, and '?' for several. */
function sideOf({ series }: NearStudy, seriesUid: string | null): string {
  const meant = series.filter(({ uid }) => seriesUid === null || uid === seriesUid);
  const sides = new Set(meant.flatMap(({ laterality }) => laterality ?? []));
  return sides.size > 1 ? '?' : ([...sides][0] ?? '');
}
