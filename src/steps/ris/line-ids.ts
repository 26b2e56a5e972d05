import type { Observation } from '@medplum/fhirtypes';
import type { LineIds } from './oru-input.ts';

/** OBX-4 of the first finding: 1 is that of text. */
const FIRST_FINDING = 2;

/**
 * OBX-4 of each finding. A finding keeps the number it had in the message before, so that a correction names the same line; a new one gets a number that no
 * line ever had.
 */
export function lineIdsOf(observations: readonly Observation[], before: LineIds): LineIds {
  const ids: Record<string, string> = { ...before };
  let next = Math.max(FIRST_FINDING - 1, ...Object.values(before).map(Number)) + 1;
  for (const [at, observation] of observations.entries()) {
    const key = observation.id ?? `#${at}`;
    if (ids[key] !== undefined) continue;
    ids[key] = String(next);
    next += 1;
  }
  return ids;
}

/** OBX-4 of one finding of the report. */
export const lineIdOf = (observation: Observation, at: number, ids: LineIds): string =>
  ids[observation.id ?? `#${at}`] ?? String(at + FIRST_FINDING);
