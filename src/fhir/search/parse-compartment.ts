import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { sources } from './parameter-sources.ts';
import { searchParametersOf } from './search-parameters.ts';
import type { Filter } from './search-query.ts';

/** R4 compartmentdefinition.html: what belongs to one Patient, Encounter, Practitioner, RelatedPerson or Device. */
export interface Compartment {
  readonly type: string;
  readonly id: string;
}

/** The compartments of several at once: at most as many as a parameter may have values. */
export interface Compartments {
  readonly type: string;
  readonly ids: readonly string[];
}

/** The types that may be in compartments of the type, in the order of their names. Throws `fhir.invalid` when there is no such compartment. */
export function typesInCompartment(type: string): string[] {
  return [...definitionOf(type)]
    .filter(([, codes]) => codes.length > 0)
    .map(([name]) => name)
    .sort();
}

/** The filter that resources of `type` in any of the compartments meet; null when the type is never in one. Throws `fhir.invalid`. */
export function compartmentFilter({ type: owner, ids }: Compartments, type: string): Filter | null {
  const of = (definitionOf(owner).get(type) ?? []).flatMap((code) => ofParameter(owner, ids, type, code));
  // The resource that the compartment is named after is in it too.
  if (type === owner) of.push(value(type, '_id', ids));
  return of.length === 0 ? null : { kind: 'any', of };
}

function definitionOf(type: string): ReadonlyMap<string, readonly string[]> {
  const found = definitions().compartments.get(type);
  if (!found) throw new Failure('fhir.invalid', 'FHIR R4 defines no compartment of this type.');
  return found;
}

function ofParameter(owner: string, ids: readonly string[], type: string, code: string): Filter[] {
  const parameter = searchParametersOf(type).get(code);
  if (parameter?.kind !== 'reference') return [];
  const values = ids.map((id) => `${owner}/${id}`);
  return sources(parameter)
    .filter(({ targetType }) => targetType === undefined || targetType === owner)
    .map(({ source }) => ({ kind: 'value', value: { parameter: source, modifier: null, values } }));
}

function value(type: string, code: string, values: readonly string[]): Filter {
  const parameter = searchParametersOf(type).get(code);
  if (!parameter) throw new Error(`${type} has no parameter ${code}`);
  return { kind: 'value', value: { parameter, modifier: null, values } };
}
