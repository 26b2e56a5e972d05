import type { Extension, Observation, Quantity } from '@medplum/fhirtypes';
import { CODE_SYSTEMS, PRIOR_RESULT_EXTENSION } from '../kernel/code-systems.ts';
import type { Presence } from '../kernel/handoffs.ts';

/** Why an earlier result is shown and not subtracted. */
export type PriorCaution = 'model-version' | 'unit' | 'laterality';

/** An earlier result of the same model and finding, for the same patient. Measurements have `value` and `unit`, the others `presence`. */
export interface PriorResult {
  readonly observationId: string;
  /** When its images were taken, as the study says it. */
  readonly taken: string;
  /** Of the model that made it. */
  readonly modelVersion: string;
  readonly value: number | null;
  /** UCUM code. */
  readonly unit: string | null;
  readonly presence: Presence | null;
  /** New value minus this one, in `unit`; null where the two are not compared. */
  readonly change: number | null;
  /** null: it can be compared. */
  readonly caution: PriorCaution | null;
}

/** Earlier results that stand beside a new one: enough to see a course, few enough to be read. */
export const PRIORS_MAX = 5;

/** SNOMED CT qualifier values of a presence finding. */
const PRESENCE: Readonly<Record<string, Presence>> = {
  '52101004': 'present',
  '82334004': 'indeterminate',
  '2667000': 'absent',
};

/** As an extension of the Observation of the new result. Not `derivedFrom`: the new value was not made out of the earlier one. */
export function priorToExtension(prior: PriorResult): Extension {
  const { value, unit, presence, change, caution } = prior;
  return {
    url: PRIOR_RESULT_EXTENSION,
    extension: [
      { url: 'observation', valueReference: { reference: `Observation/${prior.observationId}` } },
      { url: 'taken', valueDateTime: prior.taken },
      { url: 'modelVersion', valueString: prior.modelVersion },
      ...(value === null ? [] : [{ url: 'value', valueQuantity: quantity(value, unit) }]),
      ...(presence === null ? [] : [{ url: 'presence', valueCode: presence }]),
      ...(change === null ? [] : [{ url: 'change', valueQuantity: quantity(change, unit) }]),
      ...(caution === null ? [] : [{ url: 'caution', valueCode: caution }]),
    ],
  };
}

/** The earlier results beside an Observation, newest first, as they were written; one that somebody else wrote badly is left out. */
export function recordedPriors(observation: Observation): PriorResult[] {
  return (observation.extension ?? [])
    .filter(({ url }) => url === PRIOR_RESULT_EXTENSION)
    .slice(0, PRIORS_MAX)
    .flatMap(({ extension = [] }) => {
      const of = (url: string) => extension.find((one) => one.url === url);
      const taken = of('taken')?.valueDateTime ?? '';
      if (Number.isNaN(Date.parse(taken))) return [];
      const value = of('value')?.valueQuantity;
      return [
        {
          observationId: of('observation')?.valueReference?.reference?.split('/')[1] ?? '',
          taken,
          modelVersion: of('modelVersion')?.valueString ?? '',
          value: numberOf(value),
          unit: value?.code ?? null,
          presence: oneOf(PRESENCES, of('presence')?.valueCode),
          change: numberOf(of('change')?.valueQuantity),
          caution: oneOf(CAUTIONS, of('caution')?.valueCode),
        },
      ];
    });
}

/** What a presence finding says; null for a measurement, and for what is no qualifier of ours. */
export function recordedPresence(observation: Observation): Presence | null {
  const coding = observation.valueCodeableConcept?.coding?.find(({ system }) => system === CODE_SYSTEMS.sct);
  return Object.hasOwn(PRESENCE, coding?.code ?? '') ? (PRESENCE[coding?.code ?? ''] ?? null) : null;
}

const PRESENCES: readonly Presence[] = ['present', 'indeterminate', 'absent'];
const CAUTIONS: readonly PriorCaution[] = ['model-version', 'unit', 'laterality'];

const oneOf = <T extends string>(known: readonly T[], code: string | undefined): T | null =>
  known.find((one) => one === code) ?? null;

const numberOf = (quantity: Quantity | undefined): number | null =>
  typeof quantity?.value === 'number' ? quantity.value : null;

const quantity = (value: number, unit: string | null): Quantity => ({
  value: Number(value.toFixed(4)),
  ...(unit === null || unit === '1' ? {} : { unit }),
  system: CODE_SYSTEMS.ucum,
  code: unit ?? '1',
});
