import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { KINDS } from './kinds/all.ts';
import { sources } from './parameter-sources.ts';
import { type SearchParameter, searchParametersOf } from './search-parameters.ts';
import type { ChainLink, Filter } from './search-query.ts';
import { splitValue } from './split-value.ts';

/** Links of a chain, `_has` and their mixtures: each is one more search inside the search. */
export const CHAIN_LINKS_MAX = 3;
/** Searches inside one parameter: a chain without a type (`target.name`) makes one for each type the reference may have. */
export const CHAIN_SEARCHES_MAX = 12;
/** Values of one parameter; more would make one request as dear as many. */
export const COMMA_VALUES_MAX = 50;

/**
 * One `name[:modifier]=value[,value…]`, a chain `subject:Patient.name=…` or `_has:Observation:patient:code=…`. Null when the type
 * has no such parameter; throws `fhir.invalid` or `fhir.unsupported` for a known parameter that is used wrongly.
 */
export function parseFilter(type: string, name: string, value: string): Filter | null {
  return filterOf({ type, name }, value, { links: 0, count: { searches: 0 } });
}

interface Named {
  readonly type: string;
  readonly name: string;
}

/** How deep we are, and how many searches the whole parameter has become. */
interface Depth {
  readonly links: number;
  readonly count: { searches: number };
}

function filterOf({ type, name }: Named, value: string, depth: Depth): Filter | null {
  if (name.startsWith('_has:')) return hasFilter(type, name, value, deeper(depth));
  const dot = name.indexOf('.');
  const [code = '', modifier = null, more] = (dot === -1 ? name : name.slice(0, dot)).split(':');
  const parameter = searchParametersOf(type).get(code);
  if (!parameter) return null;
  if (more !== undefined) throw invalid(`${code} has two modifiers; one is allowed.`);
  if (dot !== -1) return chainFilter(parameter, modifier, { rest: name.slice(dot + 1), value }, depth);
  if (modifier === 'missing') return missingFilter(parameter, value);
  checkModifier(parameter, modifier);
  return valueFilter(parameter, modifier, valuesOf(code, value));
}

const invalid = (text: string): Failure => new Failure('fhir.invalid', text);

function deeper({ links, count }: Depth): Depth {
  if (links >= CHAIN_LINKS_MAX) throw invalid(`A chain may have ${CHAIN_LINKS_MAX} links at most.`);
  return { links: links + 1, count };
}

/** R4 search.html#escaping: `\,` is a comma that belongs to the value. */
function valuesOf(code: string, text: string): string[] {
  const values = splitValue(text, ',').filter((value) => value !== '');
  if (values.length === 0) throw invalid(`The search parameter ${code} has no value.`);
  if (values.length > COMMA_VALUES_MAX)
    throw invalid(`A parameter may have ${COMMA_VALUES_MAX} values at most.`);
  return values;
}

function checkModifier(parameter: SearchParameter, modifier: string | null): void {
  if (modifier === null || KINDS[parameter.kind].modifiers.includes(modifier)) return;
  const type = parameter.kind === 'reference' && definitions().resourceTypes.includes(modifier);
  if (!type)
    throw new Failure(
      'fhir.unsupported',
      `The parameter ${parameter.code} does not support this modifier; it takes ${modifiersOf(parameter)}.`,
    );
}

/** The modifiers that deny: the negation stands outside, since none of the parameters that answer may have the value. */
const DENIED: Readonly<Record<string, string | null>> = { not: null, 'not-in': 'in' };

function valueFilter(parameter: SearchParameter, modifier: string | null, values: readonly string[]): Filter {
  if (modifier !== null && Object.hasOwn(DENIED, modifier))
    return { kind: 'not', filter: valueFilter(parameter, DENIED[modifier] ?? null, values) };
  // `+` in a query string means a blank; in a date only the zone can be meant.
  const meant = parameter.kind === 'date' ? values.map((value) => value.replace(' ', '+')) : values;
  return anyOf(
    sources(parameter).map(({ source, targetType }) => ({
      kind: 'value',
      value: { parameter: source, modifier, values: meant, ...(targetType ? { targetType } : {}) },
    })),
  );
}

const anyOf = (of: readonly Filter[]): Filter => (of.length === 1 && of[0] ? of[0] : { kind: 'any', of });

/** R4 search.html#modifiers: `:missing=true` finds those without the element. */
function missingFilter(parameter: SearchParameter, value: string): Filter {
  if (value !== 'true' && value !== 'false') throw invalid(':missing must be true or false.');
  const present = anyOf(
    sources(parameter).map(({ source, targetType }) => ({
      kind: 'present',
      parameter: source,
      ...(targetType ? { targetType } : {}),
    })),
  );
  return value === 'false' ? present : { kind: 'not', filter: present };
}

/** R4 search.html#chaining. Without a type every type the reference may have is searched, as far as it has the parameter. */
function chainFilter(
  parameter: SearchParameter,
  modifier: string | null,
  { rest, value }: { rest: string; value: string },
  depth: Depth,
): Filter {
  if (parameter.kind !== 'reference')
    throw invalid(`${parameter.code} is no reference: it cannot be chained.`);
  if (modifier !== null && !isType(modifier))
    throw invalid(`A chain goes ${parameter.code}:Type.parameter, with a resource type.`);
  const below = deeper(depth);
  const links = sources(parameter).flatMap(({ source, targetType }) => {
    if (modifier !== null && targetType !== undefined && modifier !== targetType) return [];
    const only = modifier ?? targetType;
    const types = only ? [only] : source.targets.length > 0 ? source.targets : definitions().resourceTypes;
    return types.flatMap((type): ChainLink[] => {
      const filter = isType(type) ? linkFilter(parameter.code, { type, name: rest }, value, below) : null;
      return filter ? [{ parameter: source, type, filter }] : [];
    });
  });
  if (links.length === 0)
    throw invalid('The chain names a parameter that the referenced type does not have.');
  return { kind: 'chain', links };
}

function linkFilter(code: string, named: Named, value: string, depth: Depth): Filter | null {
  // A type that lacks the parameter costs nothing and is left out.
  const filter = hasParameter(named) ? filterOf(named, value, depth) : null;
  if (filter && ++depth.count.searches > CHAIN_SEARCHES_MAX) {
    throw invalid(
      `This chain leads to more than ${CHAIN_SEARCHES_MAX} searches; name the type, as in ${code}:Patient.`,
    );
  }
  return filter;
}

const hasParameter = ({ type, name }: Named): boolean =>
  name.startsWith('_has:') || searchParametersOf(type).has(name.split(/[:.]/)[0] ?? '');

const isType = (type: string): boolean => definitions().resourceTypes.includes(type);

/** R4 search.html#has: `_has:Type:reference parameter:parameter=value` */
function hasFilter(type: string, name: string, value: string, depth: Depth): Filter {
  const [, source = '', code = '', ...rest] = name.split(':');
  const reference = isType(source) ? searchParametersOf(source).get(code) : undefined;
  const filter =
    reference?.kind === 'reference' ? filterOf({ type: source, name: rest.join(':') }, value, depth) : null;
  if (!reference || !filter)
    throw invalid('_has must be _has:Type:reference parameter:parameter of that type.');
  if (++depth.count.searches > CHAIN_SEARCHES_MAX)
    throw invalid(`A parameter may lead to ${CHAIN_SEARCHES_MAX} searches at most.`);
  const parameters = sources(reference)
    .filter(({ targetType }) => targetType === undefined || targetType === type)
    .map((by) => by.source);
  if (parameters.length === 0) throw invalid('The reference parameter of _has never refers to this type.');
  return { kind: 'has', parameters, filter };
}

/** `:missing` goes with all of them but what each resource has. */
function modifiersOf({ code, kind }: SearchParameter): string {
  const own = KINDS[kind].modifiers.map((one) => `:${one}`);
  const types = kind === 'reference' ? [':[type]'] : [];
  return code === '_id' || code === '_lastUpdated' ? ':missing' : [':missing', ...own, ...types].join(', ');
}
