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

export type ParameterKind = 'token' | 'reference' | 'date' | 'string' | 'number' | 'quantity' | 'uri';

/** A search parameter of one resource type. */
export interface SearchParameter {
  readonly type: string;
  readonly code: string;
  readonly kind: ParameterKind;
  /** Types a reference may point to; empty: any. */
  readonly targets: readonly string[];
  /** Definition URL; null for the few that every server has. */
  readonly url: string | null;
  /**
   * Other parameters of the type whose index entries answer this one: `patient` is `subject` limited to Patient,
   * `combo-code` is `code` or `component-code`. Null: it has entries of its own.
   */
  readonly answeredBy: readonly AnsweredBy[] | null;
  /** The values that are indexed. */
  values(resource: Resource): TypedValue[];
}

export interface AnsweredBy {
  readonly code: string;
  readonly targetType?: string;
}

/** All parameters of a type by name; worked out once per type, when first asked for. */
export function searchParametersOf(type: string): ReadonlyMap<string, SearchParameter> {
  let found = byType.get(type);
  if (!found) {
    found = parametersOf(type);
    byType.set(type, found);
  }
  return found;
}

const byType = new Map<string, ReadonlyMap<string, SearchParameter>>();

const KINDS: ReadonlySet<string> = new Set([
  'token',
  'reference',
  'date',
  'string',
  'number',
  'quantity',
  'uri',
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
    answeredBy: null,
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

function parametersOf(type: string): ReadonlyMap<string, SearchParameter> {
  const published = definitions().searchParameters.filter(
    (parameter) => parameter.base.includes(type) && KINDS.has(parameter.type) && parameter.expression,
  );
  const expressions = new Map(
    published.map((parameter) => [
      parameter.code,
      getExpressionForResourceType(type, parameter.expression ?? '') ?? parameter.expression ?? '',
    ]),
  );
  const kindOf = new Map(published.map((parameter) => [parameter.code, parameter.type]));
  const own = published.map((parameter) => {
    const sameKind = [...expressions].filter(([code]) => kindOf.get(code) === parameter.type);
    return publishedParameter(type, parameter, new Map(sameKind));
  });
  return new Map([...baseParameters(type), ...own].map((parameter) => [parameter.code, parameter]));
}

function publishedParameter(
  type: string,
  parameter: PublishedParameter,
  expressions: ReadonlyMap<string, string>,
): SearchParameter {
  let parsed: FhirPathAtom | undefined;
  const roots = rootsOf(type, expressions.get(parameter.code) ?? '');
  return {
    type,
    code: parameter.code,
    kind: parameter.type as ParameterKind,
    targets: parameter.target ?? [],
    url: parameter.url,
    answeredBy: answeredBy(parameter, expressions),
    values: (resource) => {
      // Most elements of most resources are absent: looking at the keys is twenty times cheaper than evaluating.
      if (roots && !hasAny(resource, roots)) return [];
      parsed ??= getParsedExpressionForResourceType(type, parameter.expression ?? '');
      return evalFhirPathTyped(parsed, [toTypedValue(resource)]);
    },
  };
}

/** The first elements that an expression goes through: `Observation.value as Quantity` → `value`. Null when it cannot be told. */
function rootsOf(type: string, expression: string): readonly string[] | null {
  const parts = expression
    .split(' | ')
    .map((part) => new RegExp(`^\\(*${type}\\.([a-z][A-Za-z]*)`).exec(part.trim())?.[1]);
  return parts.every((root) => root !== undefined) ? parts : null;
}

/** `value` stands for `valueQuantity` too. A key that only begins the same costs one evaluation, no more. */
function hasAny(resource: Resource, roots: readonly string[]): boolean {
  for (const key in resource) {
    for (const root of roots) if (key.startsWith(root)) return true;
  }
  return false;
}

/**
 * Finds the parameters that index the same elements already. Saves a fifth of an Observation's index entries (patient, combo-*).
 */
function answeredBy(
  parameter: PublishedParameter,
  expressions: ReadonlyMap<string, string>,
): readonly AnsweredBy[] | null {
  const others = new Map<string, string>();
  for (const [code, expression] of expressions) {
    const known = others.get(bare(expression));
    // Of two with the same expression the first by name is indexed, so that no circle can arise.
    if (!known || code < known) others.set(bare(expression), code);
  }
  const parts = (expressions.get(parameter.code) ?? '').split(' | ').map((part) => {
    const limited = /^(.*)\.where\(\(?resolve\(\) is ([A-Za-z]+)\)?\)$/.exec(bare(part));
    const code = others.get(limited?.[1] ?? bare(part));
    if (code === undefined || code === parameter.code) return null;
    return limited?.[2] ? { code, targetType: limited[2] } : { code };
  });
  return parts.every((part) => part !== null) ? parts : null;
}

/** `(Observation.code)` and `Observation.code` are the same. */
function bare(expression: string): string {
  const text = expression.trim();
  return text.startsWith('(') && text.endsWith(')') && !/[()]/.test(text.slice(1, -1))
    ? text.slice(1, -1)
    : text;
}
