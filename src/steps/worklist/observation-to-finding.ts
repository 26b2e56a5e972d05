import type { CodeableConcept, Observation, Quantity } from '@medplum/fhirtypes';
import { type PriorResult, recordedPriors } from '../../governance/prior-result.ts';
import {
  ACTIONABLE_EXTENSION,
  CODE_SYSTEMS,
  MATCH_GRADE_EXTENSION,
  NO_MATCHING_CODE_EXTENSION,
} from '../../kernel/code-systems.ts';
import { shorten } from './shorten.ts';
import type { RowCode, RowFinding, RowPrior } from './worklist-row.ts';

/** SNOMED CT qualifier values of a presence finding. */
const PRESENCE: Readonly<Record<string, RowFinding['presence']>> = {
  '52101004': 'present',
  '2667000': 'absent',
  '82334004': 'indeterminate',
};

/** v3-ObservationInterpretation codes that say "outside of what is normal". */
const ABNORMAL_CODES = new Set(['A', 'AA', 'H', 'HH', 'HU', 'L', 'LL', 'LU', 'POS', 'DET']);

/**
 * FHIR Observation → one finding of a row. A presence finding has its answer in `valueCodeableConcept` and its score and
 * threshold as components; a measurement has a UCUM `valueQuantity`.
 */
export function observationToFinding(observation: Observation): RowFinding {
  return {
    id: observation.id ?? '',
    label: shorten(labelOf(observation.code)) ?? 'Finding without a name',
    presence: presenceOf(observation.valueCodeableConcept),
    score: numberOf(component(observation, 'score')),
    threshold: numberOf(component(observation, 'threshold')),
    value: numberOf(observation.valueQuantity),
    unit: unitOf(observation.valueQuantity),
    abnormal: (observation.interpretation ?? []).some((concept) =>
      (concept.coding ?? []).some((coding) => ABNORMAL_CODES.has(coding.code ?? '')),
    ),
    actionable: actionableOf(observation),
    codes: codesOf(observation.code),
    priors: recordedPriors(observation).map(priorOf),
  };
}

const priorOf = ({ taken, value, unit, presence, change, caution, modelVersion }: PriorResult): RowPrior => ({
  taken: shorten(taken) ?? '',
  value,
  unit: readableUnit(unit),
  presence,
  change,
  caution,
  modelVersion: shorten(modelVersion),
});

const labelOf = (code: CodeableConcept | undefined) =>
  code?.text ?? code?.coding?.find((coding) => coding.display)?.display;

function presenceOf(value: CodeableConcept | undefined): RowFinding['presence'] {
  const coding = value?.coding?.find((one) => one.system === CODE_SYSTEMS.sct);
  const code = coding?.code ?? '';
  return Object.hasOwn(PRESENCE, code) ? (PRESENCE[code] ?? null) : null;
}

function component(observation: Observation, code: string): Quantity | undefined {
  return observation.component?.find((one) =>
    one.code?.coding?.some((coding) => coding.system === CODE_SYSTEMS.finding && coding.code === code),
  )?.valueQuantity;
}

/** UCUM's code for the Hounsfield unit is not what people read; a bare 1 is no unit at all. */
function unitOf(quantity: Quantity | undefined): string | null {
  return readableUnit(quantity?.unit ?? quantity?.code);
}

function readableUnit(code: string | null | undefined): string | null {
  const unit = shorten(code ?? undefined);
  if (unit === "[hnsf'U]") return 'HU';
  return unit === '1' ? null : unit;
}

const numberOf = (quantity: Quantity | undefined) =>
  typeof quantity?.value === 'number' ? quantity.value : null;

function actionableOf(observation: Observation): RowFinding['actionable'] {
  const value = observation.extension?.find((one) => one.url === ACTIONABLE_EXTENSION)?.valueInteger;
  return value === 1 || value === 2 || value === 3 ? value : null;
}

/** SNOMED CT and RadLex are always named, so that a reader sees "none" and not a gap. LOINC only when it is there. */
function codesOf(concept: CodeableConcept | undefined): RowCode[] {
  const loinc = codeIn(concept, 'LOINC', CODE_SYSTEMS.loinc);
  const always = [
    codeIn(concept, 'SNOMED CT', CODE_SYSTEMS.sct),
    codeIn(concept, 'RadLex', CODE_SYSTEMS.radlex),
  ];
  return loinc.code === null ? always : [...always, loinc];
}

function codeIn(concept: CodeableConcept | undefined, system: RowCode['system'], url: string): RowCode {
  const coding = concept?.coding?.find((one) => one.system === url && one.code);
  if (coding === undefined) {
    const none = concept?.extension?.some(
      (one) => one.url === NO_MATCHING_CODE_EXTENSION && one.valueUri === url,
    );
    return { system, code: null, display: null, match: none ? 'none' : 'not mapped' };
  }
  const grade = coding.extension?.find((one) => one.url === MATCH_GRADE_EXTENSION)?.valueCode;
  const match = grade === 'narrower' || grade === 'broader' ? grade : 'exact';
  return { system, code: shorten(coding.code), display: shorten(coding.display), match };
}
