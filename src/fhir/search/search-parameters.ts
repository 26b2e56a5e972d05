import {
  evalFhirPathTyped,
  type FhirPathAtom,
  getExpressionForResourceType,
  getParsedExpressionForResourceType,
  type TypedValue,
  toTypedValue,
} from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { definitions, type PublishedParameter } from '../definitions/definitions.ts';
import { type CompiledPath, compilePath } from './compile-path.ts';
import { answeredBy } from './parameters/answered-by.ts';
import { type CompositeRoot, compositeRoots, compositeValues } from './parameters/composite-roots.ts';
import { type SiteParameter, siteParametersOf, siteParametersStamp } from './parameters/site-parameters.ts';

export type ParameterKind =
  | 'token'
  | 'reference'
  | 'date'
  | 'string'
  | 'number'
  | 'quantity'
  | 'uri'
  | 'composite'
  /** Location's `near`; R4 has no other that is offered. */
  | 'special';

/** A search parameter of one resource type. */
export interface SearchParameter {
  readonly type: string;
  readonly code: string;
  readonly kind: ParameterKind;
  /** Types a reference may point to; empty: any. */
  readonly targets: readonly string[];
  /** Definition URL; null for the few that every server has. */
  readonly url: string | null;
  /** The FHIRPath of this type's values; null: worked out by own code. */
  readonly expression: string | null;
  /**
   * Other parameters of the type whose index entries answer this one: `patient` is `subject` limited to Patient,
   * `combo-code` is `code` or `component-code`. Null: it has entries of its own.
   */
  readonly answeredBy: readonly AnsweredBy[] | null;
  /** A composite's elements and their parts; null for all other kinds. */
  readonly composite: readonly CompositeRoot[] | null;
  /** False: a resource with these elements has no values. */
  mayBeIn(elements: readonly string[]): boolean;
  /** The values that are indexed. */
  values(resource: Resource): TypedValue[];
}

export interface AnsweredBy {
  readonly code: string;
  readonly targetType?: string;
}

/**
 * All parameters of a type that a search may use, by name. Worked out when first asked for; the map is the same object until a
 * site's own parameters change, so what is derived from it may be kept under it.
 */
export function searchParametersOf(type: string): ReadonlyMap<string, SearchParameter> {
  return tablesOf(type).searched;
}

/**
 * Those of `indexedParametersOf` its type that may have values in the resource, by the names of its elements: of forty parameters a resource has elements for ten.
 */
export function parametersPresentIn(resource: Resource): readonly SearchParameter[] {
  const { indexed, present } = tablesOf(resource.resourceType);
  const names = Object.keys(resource);
  // What no JSON that is read here has in a name stands between them.
  const words = names.join('\u0000');
  let found = present.get(words);
  if (!found) {
    found = indexed.filter((parameter) => parameter.mayBeIn(names));
    if (present.size < PRESENT_MAX) present.set(words, found);
  }
  return found;
}

/** Sets of element names that are remembered for a type. Senders of a site use few; who makes up others pays for it. */
const PRESENT_MAX = 200;

/**
 * The parameters that leave index entries, in the order in which they must be indexed (composites last: they mark the rows of their
 * parts). The list is the same object until a site's own parameters change. A site's parameter is here before it can be searched.
 */
export function indexedParametersOf(type: string): readonly SearchParameter[] {
  return tablesOf(type).indexed;
}

interface Tables {
  readonly stamp: number;
  readonly searched: ReadonlyMap<string, SearchParameter>;
  readonly indexed: readonly SearchParameter[];
  /** By the names of the elements of a resource. */
  readonly present: Map<string, readonly SearchParameter[]>;
}

const byType = new Map<string, Tables>();

function tablesOf(type: string): Tables {
  let found = byType.get(type);
  if (found?.stamp !== siteParametersStamp(type)) {
    found = makeTables(type);
    byType.set(type, found);
  }
  return found;
}

function makeTables(type: string): Tables {
  const published = parametersOf(type);
  const site = siteParametersOf(type).filter(({ definition }) => !published.has(definition.code));
  const own = site.map((one) => ({ active: one.active, parameter: siteParameter(type, one) }));
  const searched = new Map(published);
  for (const { active, parameter } of own) if (active) searched.set(parameter.code, parameter);
  const all = [...published.values(), ...own.map(({ parameter }) => parameter), ...unsearchedOf(type)];
  const indexed = all.filter(
    ({ code, answeredBy, composite }) =>
      answeredBy === null &&
      (composite === null || composite.some((root) => root.repeats && root.owner === code)),
  );
  const order = (parameter: SearchParameter): number => (parameter.composite ? 1 : 0);
  return {
    stamp: siteParametersStamp(type),
    searched,
    indexed: indexed
      .filter(({ code }) => code !== '_id' && code !== '_lastUpdated')
      .sort((a, b) => order(a) - order(b)),
    present: new Map(),
  };
}

const KINDS: ReadonlySet<string> = new Set([
  'token',
  'reference',
  'date',
  'string',
  'number',
  'quantity',
  'uri',
  'composite',
  'special',
]);

/** Answered by columns of the row or by own code in `build-search.ts`: FHIRPath finds nothing under `Resource`. */
function baseParameters(type: string): SearchParameter[] {
  const base = (
    code: string,
    kind: ParameterKind,
    values: (resource: Resource) => TypedValue[],
  ): SearchParameter => ({
    type,
    code,
    kind,
    targets: [],
    url: `http://hl7.org/fhir/SearchParameter/Resource-${code.slice(1)}`,
    expression: null,
    answeredBy: null,
    composite: null,
    mayBeIn: (elements) => elements.includes('meta'),
    values,
  });
  const typed = (type: string, values: readonly unknown[] | undefined): TypedValue[] =>
    (values ?? []).map((value) => ({ type, value }));
  return [
    base('_id', 'token', () => []),
    base('_lastUpdated', 'date', () => []),
    base('_tag', 'token', (resource) => typed('Coding', resource.meta?.tag)),
    base('_security', 'token', (resource) => typed('Coding', resource.meta?.security)),
    base('_profile', 'uri', (resource) => typed('canonical', resource.meta?.profile)),
    base('_source', 'uri', (resource) => typed('uri', resource.meta?.source ? [resource.meta.source] : [])),
  ];
}

const publishedByType = new Map<string, ReadonlyMap<string, SearchParameter>>();

function parametersOf(type: string): ReadonlyMap<string, SearchParameter> {
  let found = publishedByType.get(type);
  if (!found) {
    found = makeParameters(type);
    publishedByType.set(type, found);
  }
  return found;
}

function makeParameters(type: string): ReadonlyMap<string, SearchParameter> {
  const published = definitions().searchParameters.filter(
    (parameter) => parameter.base.includes(type) && KINDS.has(parameter.type) && parameter.expression,
  );
  const expressions = new Map(
    published.map((parameter) => [parameter.code, expressionOf(type, parameter.expression ?? '')]),
  );
  const kindOf = new Map(published.map((parameter) => [parameter.code, parameter.type]));
  const own = published.map((parameter) => {
    const sameKind = [...expressions].filter(([code]) => kindOf.get(code) === parameter.type);
    const by = parameter.type === 'composite' ? null : answeredBy(parameter.code, new Map(sameKind));
    return made(type, parameter, expressions.get(parameter.code) ?? '', by);
  });
  return new Map([...baseParameters(type), ...own].map((parameter) => [parameter.code, parameter]));
}

/** The part of a union that is about the type. */
function expressionOf(type: string, expression: string): string {
  return getExpressionForResourceType(type, expression) ?? expression;
}

function made(
  type: string,
  parameter: PublishedParameter,
  expression: string,
  answered: readonly AnsweredBy[] | null,
): SearchParameter {
  const roots = parameter.type === 'composite' ? compositeRoots(type, parameter) : null;
  const firsts = rootsOf(type, expression);
  return {
    type,
    code: parameter.code,
    kind: parameter.type as ParameterKind,
    targets: parameter.target ?? [],
    url: parameter.url,
    expression,
    answeredBy: answered,
    composite: roots,
    mayBeIn: (elements) => roots !== null || firsts === null || hasAny(elements, firsts),
    values: roots
      ? (resource) => compositeValues(parameter.code, roots, resource)
      : pathValues(type, expression, parameter.expression ?? '', firsts),
  };
}

function pathValues(
  type: string,
  expression: string,
  union: string,
  firsts: readonly string[] | null,
): (resource: Resource) => TypedValue[] {
  let parsed: FhirPathAtom | undefined;
  let compiled: CompiledPath | null | undefined;
  return (resource) => {
    if (compiled === undefined) compiled = compilePath(type, expression);
    const values = compiled?.(resource);
    if (values) return values;
    // Most elements of most resources are absent: looking at the keys is twenty times cheaper than the interpreter.
    if (firsts && !hasAny(Object.keys(resource), firsts)) return [];
    parsed ??= getParsedExpressionForResourceType(type, union);
    return evalFhirPathTyped(parsed, [toTypedValue(resource)]);
  };
}

/** R4 has no search parameter for it, and access rules need the entry: whose a Binary is. It cannot be searched. */
export const BINARY_OWNER = 'securityContext';

function unsearchedOf(type: string): SearchParameter[] {
  if (type !== 'Binary') return [];
  const expression = `Binary.${BINARY_OWNER}`;
  return [
    {
      type,
      code: BINARY_OWNER,
      kind: 'reference',
      targets: [],
      url: null,
      expression,
      answeredBy: null,
      composite: null,
      mayBeIn: (elements) => elements.includes(BINARY_OWNER),
      values: pathValues(type, expression, expression, [BINARY_OWNER]),
    },
  ];
}

/** A site's own parameter. Whatever its expression meets in a resource, it must not keep the resource from being stored. */
function siteParameter(type: string, { definition }: SiteParameter): SearchParameter {
  const parameter = made(type, definition, expressionOf(type, definition.expression), null);
  const values = (resource: Resource): TypedValue[] => {
    try {
      return parameter.values(resource);
    } catch {
      return [];
    }
  };
  return { ...parameter, values };
}

/** The first elements that an expression goes through: `Observation.value as Quantity` → `value`. Null when it cannot be told. */
function rootsOf(type: string, expression: string): readonly string[] | null {
  // `Patient.deceased.exists() and …` has a value where the element is absent.
  if (/ (and|or) |exists\(\)|empty\(\)|not\(\)/.test(expression.replace(/\.where\([^()]*\)/g, '')))
    return null;
  const parts = expression
    .split(' | ')
    .map((part) => new RegExp(`^\\(*${type}\\.([a-z][A-Za-z]*)`).exec(part.trim())?.[1]);
  return parts.every((root) => root !== undefined) ? parts : null;
}

/** `value` stands for `valueQuantity` too. A key that only begins the same costs one evaluation, no more. */
function hasAny(elements: readonly string[], roots: readonly string[]): boolean {
  for (const element of elements) {
    for (const root of roots) if (element.startsWith(root)) return true;
  }
  return false;
}
