import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { KINDS } from './kinds/all.ts';
import { type SearchParameter, searchParametersOf } from './search-parameters.ts';
import type { ChainTarget, Filter } from './search-query.ts';

/** Links of a chain or of `_has`: each is one more search inside the search. */
export const CHAIN_LINKS_MAX = 2;
export const COMMA_VALUES_MAX = 200;

/**
 * One `name[:modifier]=value[,value…]`, a chain `subject:Patient.name=…` or `_has:Observation:patient:code=…`. Null when the type
 * has no such parameter; throws `fhir.invalid` or `fhir.unsupported` for a known parameter that is used wrongly.
 */
export function parseFilter(type: string, name: string, value: string, links = 0): Filter | null {
  if (links > CHAIN_LINKS_MAX) throw invalid(`A chain may have ${CHAIN_LINKS_MAX} links at most.`);
  if (name.startsWith('_has:')) return hasFilter(type, name, value, links);
  const dot = name.indexOf('.');
  const [code = '', modifier = null] = (dot === -1 ? name : name.slice(0, dot)).split(':');
  const parameter = searchParametersOf(type).get(code);
  if (!parameter) return unsupported(type, code);
  if (dot !== -1) return chainFilter(parameter, modifier, name.slice(dot + 1), value, links);
  if (modifier === 'missing') return missingFilter(parameter, value);
  checkModifier(parameter, modifier);
  return valueFilter(parameter, modifier, valuesOf(value));
}

const invalid = (text: string): Failure => new Failure('fhir.invalid', text);

/** Published parameters that this server does not answer are named as such; others do not exist. */
function unsupported(type: string, code: string): null {
  const known = definitions().searchParameters.some(
    (parameter) =>
      parameter.code === code &&
      [type, 'Resource', 'DomainResource'].some((base) => parameter.base.includes(base)),
  );
  if (known)
    throw new Failure(
      'fhir.unsupported',
      `The search parameter ${type}.${code} is not supported by this server.`,
    );
  return null;
}

/** R4 search.html#escaping: `\,` is a comma that belongs to the value. */
function valuesOf(text: string): string[] {
  const values = (text.match(/(?:\\.|[^,\\]|\\$)+/gs) ?? []).map((value) =>
    value.replace(/\\([\\,|$])/g, '$1'),
  );
  if (values.length === 0) throw invalid('A search parameter has no value.');
  if (values.length > COMMA_VALUES_MAX)
    throw invalid(`A parameter may have ${COMMA_VALUES_MAX} values at most.`);
  return values;
}

function checkModifier(parameter: SearchParameter, modifier: string | null): void {
  if (modifier === null || KINDS[parameter.kind].modifiers.includes(modifier)) return;
  const type = parameter.kind === 'reference' && definitions().resourceTypes.includes(modifier);
  if (!type)
    throw new Failure('fhir.unsupported', `The parameter ${parameter.code} does not support this modifier.`);
}

function valueFilter(parameter: SearchParameter, modifier: string | null, values: readonly string[]): Filter {
  // `+` in a query string means a blank; in a date only the zone can be meant.
  const meant = parameter.kind === 'date' ? values.map((value) => value.replace(' ', '+')) : values;
  // Not: none of the parameters that answer has the value. So the negation stands outside.
  if (modifier === 'not') return { kind: 'not', filter: valueFilter(parameter, null, meant) };
  const any = sources(parameter).map(
    ({ source, targetType }): Filter => ({
      kind: 'value',
      value: { parameter: source, modifier, values: meant, ...(targetType ? { targetType } : {}) },
    }),
  );
  return any.length === 1 && any[0] ? any[0] : { kind: 'any', of: any };
}

interface Source {
  readonly source: SearchParameter;
  readonly targetType?: string;
}

/** The parameters whose entries answer this one: itself, or those it is made of. */
export function sources(parameter: SearchParameter, targetType?: string): Source[] {
  if (!parameter.answeredBy) return [targetType ? { source: parameter, targetType } : { source: parameter }];
  return parameter.answeredBy.flatMap((by) => {
    const source = searchParametersOf(parameter.type).get(by.code);
    return source ? sources(source, by.targetType ?? targetType) : [];
  });
}

function missingFilter(parameter: SearchParameter, value: string): Filter {
  if (value !== 'true' && value !== 'false') throw invalid(':missing must be true or false.');
  if (parameter.answeredBy?.some((by) => by.targetType)) {
    throw new Failure(
      'fhir.unsupported',
      `:missing is not supported for ${parameter.code}; use the parameter it narrows.`,
    );
  }
  const each = sources(parameter).map(
    ({ source }): Filter => ({ kind: 'missing', parameter: source, missing: false }),
  );
  const present: Filter = each.length === 1 && each[0] ? each[0] : { kind: 'any', of: each };
  return value === 'false' ? present : { kind: 'not', filter: present };
}

/** R4 search.html#chaining */
function chainFilter(
  parameter: SearchParameter,
  modifier: string | null,
  rest: string,
  value: string,
  links: number,
): Filter {
  if (parameter.kind !== 'reference')
    throw invalid(`${parameter.code} is no reference: it cannot be chained.`);
  const of = sources(parameter).map(({ source, targetType }): Filter => {
    const only = modifier ?? targetType;
    const types = only ? [only] : source.targets;
    const to = types.flatMap((type): ChainTarget[] => {
      const filter = chainable(type) ? parseFilter(type, rest, value, links + 1) : null;
      return filter ? [{ type, filter }] : [];
    });
    if (to.length === 0) throw invalid('The chain names a parameter that the referenced type does not have.');
    return { kind: 'chain', parameter: source, to };
  });
  return of.length === 1 && of[0] ? of[0] : { kind: 'any', of };
}

const chainable = (type: string): boolean => definitions().resourceTypes.includes(type);

/** R4 search.html#has: `_has:Type:reference parameter:parameter=value` */
function hasFilter(type: string, name: string, value: string, links: number): Filter {
  const [, source = '', code = '', ...rest] = name.split(':');
  const reference = chainable(source) ? searchParametersOf(source).get(code) : undefined;
  const filter =
    reference?.kind === 'reference' ? parseFilter(source, rest.join(':'), value, links + 1) : null;
  if (!reference || !filter)
    throw invalid('_has must be _has:Type:reference parameter:parameter of that type.');
  const of = sources(reference)
    .filter(({ targetType }) => targetType === undefined || targetType === type)
    .map((by): Filter => ({ kind: 'has', parameter: by.source, filter }));
  return of.length === 1 && of[0] ? of[0] : { kind: 'any', of };
}
