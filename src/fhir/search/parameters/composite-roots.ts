import { evalFhirPathTyped, parseFhirPath, type TypedValue, toTypedValue } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { definitions, type PublishedParameter } from '../../definitions/definitions.ts';
import { type CompiledPath, compilePath } from '../compile-path.ts';
import { elementRepeats } from './element-repeats.ts';

/**
 * R4 search.html#composite: all parts of the value must be met by the *same* element.
 *
 * Where that element is the resource itself (or occurs once: `MolecularSequence.referenceSeq`) the parts are just joined by and, and
 * the composite needs no index entries. Where it repeats (`Observation.component`, `useContext`) it is told apart so:
 * codes and references leave one entry per pair; a number, quantity, date or string keeps the codes of its element in its own
 * row (`within`). So the frequent Observation without components pays nothing.
 */
export interface CompositeRoot {
  /** `Observation`, `Observation.component`. */
  readonly path: string;
  /** Its first element: `component`. */
  readonly first: string;
  readonly repeats: boolean;
  /** The composite that indexes these elements: `combo-code-value-quantity` leaves those of components to `component-code-value-quantity`. */
  readonly owner: string;
  readonly parts: readonly CompositePart[];
  readonly elements: Evaluate | null;
}

/** The values that an expression has on a value; `whole` is the resource around it. */
type Evaluate = (on: TypedValue, whole: TypedValue) => readonly TypedValue[];

export interface CompositePart {
  readonly kind: Exclude<PublishedParameter['type'], 'composite' | 'special'>;
  /** The parameter of the type under which this root's values are indexed: `component-value-quantity` for `combo-value-quantity`. */
  readonly code: string;
  /** FHIRPath on the element. */
  readonly expression: string;
  readonly values: Evaluate;
}

/** What one repeated element holds: the values of each part. */
export interface CompositeElement {
  readonly root: CompositeRoot;
  readonly parts: readonly (readonly TypedValue[])[];
}

/** The roots of a composite of the type; a part that is no known parameter leaves the composite without roots. */
export function compositeRoots(type: string, parameter: PublishedParameter): readonly CompositeRoot[] {
  const paths = (parameter.expression ?? '')
    .split('|')
    .map(bare)
    .filter((path) => path === type || path.startsWith(`${type}.`));
  const components = parameter.component ?? [];
  const named = components.map(({ definition, expression }) => ({
    published: definitions().searchParameters.find(({ url }) => url === definition),
    expression,
  }));
  if (named.length < 2 || named.some(({ published }) => !published)) return [];
  return paths.map((path) => {
    const repeats = path !== type && elementRepeats(path);
    const owner = ownerOf(type, path, paths, parameter);
    const parts = inOrder(named as Named[]).map(({ published, expression }) => ({
      kind: published.type as CompositePart['kind'],
      code: codeUnder(type, path, paths, published),
      expression,
      values: evaluate(expression),
    }));
    return {
      path,
      first: path.split('.')[1] ?? '',
      repeats,
      owner,
      parts,
      elements: repeats ? evaluate(path) : null,
    };
  });
}

/** As property look-ups where the expression has that form, for the type it is first asked of; the interpreter takes ten times as long. */
function evaluate(expression: string): Evaluate {
  const parsed = parseFhirPath(expression);
  const compiled = new Map<string, CompiledPath | null>();
  return (on, whole) => {
    let path = compiled.get(on.type);
    if (path === undefined) {
      path = compilePath(on.type, fullPath(on.type, expression));
      compiled.set(on.type, path);
    }
    return path?.(on.value) ?? evalFhirPathTyped(parsed, [on], { '%resource': whole });
  };
}

/** `value.ofType(Quantity) | value.ofType(Range)` of a component as `ObservationComponent.value.ofType(Quantity) | …`. */
const fullPath = (type: string, expression: string): string =>
  expression
    .split(' | ')
    .map((part) => (part.trim().startsWith(`${type}.`) ? part.trim() : `${type}.${part.trim()}`))
    .join(' | ');

/** Another composite that has just this root, with parts at the same places. */
function ownerOf(
  type: string,
  path: string,
  paths: readonly string[],
  { code, component }: PublishedParameter,
): string {
  if (paths.length === 1) return code;
  const places = component?.map(({ expression }) => expression).join();
  const other = definitions().searchParameters.find(
    (one) =>
      one.type === 'composite' &&
      one.base.includes(type) &&
      bare(one.expression ?? '') === path &&
      one.component?.map(({ expression }) => expression).join() === places,
  );
  return other?.code ?? code;
}

interface Named {
  readonly published: PublishedParameter;
  readonly expression: string;
}

/** R4's DocumentReference-relationship names its two definitions in the wrong order: each expression goes with the parameter it ends. */
function inOrder(named: readonly Named[]): readonly Named[] {
  const [first, second] = named;
  const ends = (one: Named, by: Named): boolean =>
    (one.published.expression ?? '').endsWith(`.${by.expression}`);
  if (named.length !== 2 || !first || !second) return named;
  if (ends(first, first) || !ends(first, second) || !ends(second, first)) return named;
  return [
    { published: second.published, expression: first.expression },
    { published: first.published, expression: second.expression },
  ];
}

/**
 * `combo-code` of Observation is `code` under the root `Observation` and `component-code` under `Observation.component`: the published
 * parameter whose expression goes through this root and through none that lies deeper.
 */
function codeUnder(type: string, path: string, paths: readonly string[], part: PublishedParameter): string {
  const deeper = paths.filter((other) => other !== path && other.startsWith(`${path}.`));
  const goesThrough = (path: string, one: string): boolean => one.startsWith(`${path}.`);
  if (paths.length === 1) return part.code;
  const own = partsOf(type, part);
  const fits = definitions().searchParameters.find((other) => {
    if (!other.base.includes(type) || other.type !== part.type || other.code === part.code) return false;
    const parts = partsOf(type, other);
    return (
      parts.length > 0 &&
      parts.every((one) => own.includes(one) && goesThrough(path, one)) &&
      !parts.some((one) => deeper.some((other) => goesThrough(other, one)))
    );
  });
  return fits?.code ?? part.code;
}

/** The parts of a parameter's union that are about the type. */
const partsOf = (type: string, { expression }: PublishedParameter): string[] =>
  (expression ?? '')
    .split('|')
    .map(bare)
    .filter((part) => part.startsWith(`${type}.`));

const bare = (expression: string): string => expression.replace(/[()\s]/g, '');

/** The repeated elements of a resource with the values of their parts. */
export function compositeValues(
  code: string,
  roots: readonly CompositeRoot[],
  resource: Resource,
): TypedValue[] {
  const whole = toTypedValue(resource);
  return roots.flatMap((root) => {
    // Most resources have no such element: looking for its key is much cheaper than evaluating.
    if (!root.elements || root.owner !== code || !(root.first in resource)) return [];
    return root.elements(whole, whole).map((element) => {
      const parts = root.parts.map(({ values }) => values(element, whole));
      return { type: 'CompositeElement', value: { root, parts } satisfies CompositeElement };
    });
  });
}
