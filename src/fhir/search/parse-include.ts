import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { searchParametersOf } from './search-parameters.ts';
import type { Include } from './search-query.ts';

/**
 * R4 search.html#include: `Type:parameter[:target]`, with `:iterate` for included resources too. `types` are those that are searched: an
 * `_include` that is not `:iterate` must start at one of them. `*` is not offered: what it brings cannot be told before. Throws `fhir.invalid`.
 */
export function parseInclude(name: string, value: string, types: readonly string[]): Include {
  const [control = '', modifier] = name.split(':');
  const reverse = control === '_revinclude';
  if (modifier !== undefined && modifier !== 'iterate')
    throw invalid(`${control} takes the modifier :iterate only.`);
  const [source = '', code = '', target, more] = value.split(':');
  if (source === '*' || code === '*')
    throw new Failure('fhir.unsupported', `${control}=* is not offered; name each as Type:parameter.`);
  const parameter = isType(source) ? searchParametersOf(source).get(code) : undefined;
  if (parameter?.kind !== 'reference' || more !== undefined)
    throw invalid(`${control} must be Type:parameter with a reference parameter of that type.`);
  if (target !== undefined && !isType(target))
    throw invalid(`The third part of ${control} must be a resource type.`);
  const iterate = modifier === 'iterate';
  if (!reverse && !iterate && !types.includes(source))
    throw invalid('_include must start at a type that is searched; _include:iterate may start elsewhere.');
  return { reverse, iterate, parameter, targetType: target ?? null };
}

const invalid = (text: string): Failure => new Failure('fhir.invalid', text);

const isType = (type: string): boolean => definitions().resourceTypes.includes(type);
