import type { Observation, ObservationComponent } from '@medplum/fhirtypes';
import type { ImageRegion, Measurement, MeasurementGroup } from '../../dicom/measurement-report.ts';

import { stableUid } from '../../dicom/stable-uid.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { conceptToCode, plainCode, unitOf } from './fhir-to-dicom-code.ts';

export interface GroupSurroundings {
  readonly regions: readonly ImageRegion[];
  readonly segment: MeasurementGroup['segment'];
}

/**
 * One Observation → one measurement group: a quantity is a measurement, a coded answer a qualitative evaluation under the finding's own
 * name, the score a measurement beside it, the threshold a parameter of the algorithm. The tracking UID follows from the Observation's
 * id, which every version of the record keeps.
 */
export function observationToGroup(observation: Observation, around: GroupSurroundings): MeasurementGroup {
  const finding = conceptToCode(observation.code);
  const site = plainCode(observation.bodySite);
  const quantity = observation.valueQuantity;
  const answer = plainCode(observation.valueCodeableConcept);
  const components = observation.component ?? [];
  return {
    trackingIdentifier: keyOf(observation),
    trackingUid: stableUid('tracking', String(observation.id)),
    finding,
    ...(site ? { site: { code: site } } : {}),
    parameters: components.filter(isThreshold).flatMap(parameterOf),
    measurements: [
      ...(quantity?.value === undefined
        ? []
        : [
            {
              name: finding,
              value: quantity.value,
              unit: unitOf(quantity),
              abnormal: isAbnormal(observation),
            },
          ]),
      ...components.filter((one) => !isThreshold(one)).flatMap(componentMeasurement),
    ],
    evaluations: [
      ...(answer ? [{ name: finding, value: answer }] : []),
      ...components.flatMap(componentEvaluation),
    ],
    ...around,
  };
}

/** The key of the finding in the model's manifest. */
export const keyOf = (observation: Observation): string =>
  observation.code?.coding?.find(({ system }) => system === CODE_SYSTEMS.finding)?.code ??
  observation.code?.text ??
  'finding';

const isAbnormal = ({ interpretation = [] }: Observation): boolean =>
  interpretation.some((one) =>
    one.coding?.some(({ system, code }) => system === CODE_SYSTEMS.interpretation && code === 'A'),
  );

const isThreshold = ({ code }: ObservationComponent): boolean =>
  code?.coding?.some((one) => one.system === CODE_SYSTEMS.finding && one.code === 'threshold') ?? false;

function parameterOf({ valueQuantity }: ObservationComponent): string[] {
  if (valueQuantity?.value === undefined) return [];
  return [`threshold ${valueQuantity.value} ${valueQuantity.unit ?? ''}`.trim()];
}

function componentMeasurement({ code, valueQuantity }: ObservationComponent): Measurement[] {
  if (valueQuantity?.value === undefined) return [];
  const name = conceptToCode(code);
  return [{ name, value: valueQuantity.value, unit: unitOf(valueQuantity), abnormal: false }];
}

function componentEvaluation({ code, valueCodeableConcept }: ObservationComponent) {
  const value = plainCode(valueCodeableConcept);
  return value ? [{ name: conceptToCode(code), value }] : [];
}
