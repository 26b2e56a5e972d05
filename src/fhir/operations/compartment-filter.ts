import { definitions } from '../definitions/definitions.ts';
import { parseFilter } from '../search/parse-filter.ts';
import { searchParametersOf } from '../search/search-parameters.ts';
import type { Filter } from '../search/search-query.ts';

export type CompartmentCode = 'Patient' | 'Encounter';

/** The types that can be in a compartment (R4 compartmentdefinition.html), in the order of their names. */
export function compartmentTypes(compartment: CompartmentCode): string[] {
  return [...(definitions().compartments.get(compartment)?.keys() ?? [])].sort();
}

/**
 * Resources of `type` in the compartment of any of the ids: one of the parameters that the compartment's definition names refers there. Null
 * when the type is not in the compartment. At most as many ids as a parameter may have values.
 */
export function compartmentFilter(
  compartment: CompartmentCode,
  ids: readonly string[],
  type: string,
): Filter | null {
  const codes = definitions().compartments.get(compartment)?.get(type) ?? [];
  const references = ids.map((id) => `${compartment}/${id}`).join(',');
  const any = codes.flatMap((code): Filter[] => {
    if (searchParametersOf(type).get(code)?.kind !== 'reference') return [];
    const filter = parseFilter(type, code, references);
    return filter ? [filter] : [];
  });
  // The resource that the compartment is named after is in it too.
  const itself = type === compartment ? parseFilter(type, '_id', ids.join(',')) : null;
  const of = itself ? [itself, ...any] : any;
  return of.length === 0 ? null : { kind: 'any', of };
}
