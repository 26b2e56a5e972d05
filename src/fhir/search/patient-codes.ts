import type { Filter } from './search-query.ts';
import { splitValue, unescaped } from './split-value.ts';

/**
 * `Observation?patient=…&code=…` by keys of both together. Without them each of the patient's rows is looked for among all that have the code: as many ways into a list that grows with the set. The keys are those
 * of `observation_patient_codes` (migration 0036), which PostgreSQL works out from a row's entries. A key names the code without its system and the patient by the end of the id, so the entries are asked too.
 */

/** Keys of one search: each is a way into the index. */
export const PATIENT_CODE_KEYS_MAX = 64;

/** As `right(id, 12)` of the function. */
const ID_CHARACTERS = 12;

/** `entriesOf`: the entries of which a row must have one to meet a filter, null: it asks for something else. Null: the filters do not name patients and codes, or too many. */
export function patientCodeKeys(
  type: string,
  filters: readonly Filter[],
  entriesOf: (filter: Filter) => readonly string[] | null,
): readonly string[] | null {
  if (type !== 'Observation') return null;
  const codes = firstOf(filters, codesOf);
  const patients = codes && firstOf(filters, (filter) => patientsOf(entriesOf(filter)));
  if (!codes || !patients || codes.length * patients.length > PATIENT_CODE_KEYS_MAX) return null;
  return [...new Set(patients.flatMap((patient) => codes.map((code) => `${patient} ${code}`)))];
}

function firstOf(
  filters: readonly Filter[],
  find: (filter: Filter) => readonly string[] | null,
): readonly string[] | null {
  for (const filter of filters) {
    const found = find(filter);
    if (found) return found;
  }
  return null;
}

function patientsOf(entries: readonly string[] | null): readonly string[] | null {
  if (!entries || entries.length === 0) return null;
  if (!entries.every((entry) => entry.startsWith(PATIENT))) return null;
  return entries.map((entry) => [...line(entry.slice(PATIENT.length))].slice(-ID_CHARACTERS).join(''));
}

const PATIENT = 'Observation.subject>Patient/';

function codesOf(filter: Filter): readonly string[] | null {
  if (filter.kind !== 'value' || filter.value.values.length === 0) return null;
  const { parameter, modifier, values } = filter.value;
  if (parameter.code !== 'code' || parameter.kind !== 'token' || modifier !== null) return null;
  const codes = values.map(codeOf);
  return codes.every((code) => code !== null) ? codes : null;
}

/** Longer ones may be cut in the entries, with a system sooner than without. */
const CODE_CHARACTERS_MAX = 200;

/** Of `code`, `system|code` or `|code`; null: it asks for a system alone, or is as long as no code is. */
function codeOf(value: string): string | null {
  const parts = splitValue(value, '|').map(unescaped);
  const code = parts.length === 1 ? (parts[0] ?? '') : parts.slice(1).join('|');
  return code === '' || value.length > CODE_CHARACTERS_MAX ? null : line(code);
}

const line = (text: string): string => text.split('\n', 1)[0] ?? '';
