import {
  evalFhirPathTyped,
  getDataType,
  type InternalTypeSchema,
  parseFhirPath,
  toTypedValue,
} from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';

/** A place in a resource: `holder[key]`, in a list when `index` is a number. */
export interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
  readonly index: number | null;
  readonly value: unknown;
  /** Type of the value: a data type, or one defined inside a resource such as `PatientContact`. */
  readonly type: string;
  /** The element of the first level that it lies under; '' for the resource itself. */
  readonly under: string;
}

/** Longer ones are no path to an element. */
export const PATCH_PATH_CHARACTERS_MAX = 500;
export const PATCH_PATH_STEPS_MAX = 20;
/** A criterion that holds more is a program. */
export const PATCH_CRITERION_CHARACTERS_MAX = 200;

/**
 * R4 fhirpatch.html: the places that a path leads to. Paths come from clients, so only what selects elements is understood, and walked here step by step:
 * `name`, `[n]`, `first()`, `last()`, `ofType(T)`, `extension('url')`, and `where(criterion)` with the functions of `CRITERION_FUNCTIONS`. Nothing
 * in it can run long. Null: the path is not one of these.
 */
export function selectPath(resource: Resource, path: string): readonly Place[] | null {
  const steps = stepsOf(path);
  if (!steps || steps[0]?.name !== resource.resourceType || steps[0].argument !== null) return null;
  const root: Place = {
    holder: {},
    key: '',
    index: null,
    value: resource,
    type: resource.resourceType,
    under: '',
  };
  let places: readonly Place[] | null = [root];
  for (const step of steps.slice(1)) {
    places = takeStep(places, step);
    if (places === null) return null;
  }
  return places;
}

interface Step {
  readonly name: string;
  /** Between the parentheses, or the number in brackets; null for an element. */
  readonly argument: string | null;
}

/** `Patient.name[0].where(use='x').given` in steps; null when it is not well formed. */
function stepsOf(path: string): readonly Step[] | null {
  if (path.length > PATCH_PATH_CHARACTERS_MAX) return null;
  const steps: Step[] = [];
  let at = 0;
  while (at < path.length) {
    if (steps.length > 0 && path[at] === '[') {
      const index = /^\[(\d{1,6})\]/.exec(path.slice(at));
      if (!index) return null;
      steps.push({ name: '[]', argument: index[1] ?? '' });
      at += index[0].length;
      continue;
    }
    if (steps.length > 0 && path[at++] !== '.') return null;
    const name = /^[A-Za-z]{1,64}/.exec(path.slice(at))?.[0];
    if (!name) return null;
    at += name.length;
    const end = path[at] === '(' ? closing(path, at) : null;
    if (path[at] === '(' && end === null) return null;
    steps.push({ name, argument: end === null ? null : path.slice(at + 1, end).trim() });
    if (end !== null) at = end + 1;
  }
  return steps.length > 0 && steps.length <= PATCH_PATH_STEPS_MAX ? steps : null;
}

/** Where the parenthesis that opens at `start` closes; those in strings do not count. */
function closing(path: string, start: number): number | null {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < path.length; at++) {
    const c = path[at];
    if (quoted) {
      if (c === '\\') at++;
      else if (c === "'") quoted = false;
    } else if (c === "'") quoted = true;
    else if (c === '(') depth++;
    else if (c === ')' && --depth === 0) return at;
  }
  return null;
}

function takeStep(places: readonly Place[], { name, argument }: Step): readonly Place[] | null {
  if (argument === null) return places.flatMap((place) => childrenOf(place, name));
  switch (name) {
    case '[]':
      return places.slice(Number(argument), Number(argument) + 1);
    case 'first':
      return argument === '' ? places.slice(0, 1) : null;
    case 'last':
      return argument === '' ? places.slice(-1) : null;
    case 'ofType':
    case 'as':
      return places.filter((place) => place.type === argument);
    case 'extension': {
      const url = /^'([^'\\]{1,200})'$/.exec(argument)?.[1];
      if (url === undefined) return null;
      return places
        .flatMap((place) => childrenOf(place, 'extension'))
        .filter((place) => (place.value as { url?: unknown } | null)?.url === url);
    }
    case 'where':
      return whereTrue(places, argument);
    default:
      return null;
  }
}

/** Linear functions only: no `matches`, `repeat`, `descendants`, `resolve`, and none that takes an expression apart from `where` and `exists`. */
const CRITERION_FUNCTIONS: ReadonlySet<string> = new Set([
  'where',
  'exists',
  'empty',
  'not',
  'first',
  'last',
  'count',
  'ofType',
  'as',
  'extension',
  'startsWith',
  'endsWith',
  'contains',
]);

function whereTrue(places: readonly Place[], criterion: string): readonly Place[] | null {
  if (criterion.length > PATCH_CRITERION_CHARACTERS_MAX) return null;
  const outside = criterion.replace(/'(?:[^'\\]|\\.)*'/g, "''");
  const called = [...outside.matchAll(/([A-Za-z_]\w*)\s*\(/g)].map((match) => match[1] ?? '');
  if (/[%`]/.test(outside) || called.some((name) => !CRITERION_FUNCTIONS.has(name) && !WORDS.has(name)))
    return null;
  try {
    const parsed = parseFhirPath(criterion);
    return places.filter(({ value, type }) => {
      const input = typeof value === 'object' ? [{ type, value }] : [toTypedValue(value)];
      const result = evalFhirPathTyped(parsed, input);
      return result.length === 1 && result[0]?.value === true;
    });
  } catch {
    return null;
  }
}

/** Operators that may stand before a parenthesis. */
const WORDS: ReadonlySet<string> = new Set(['and', 'or', 'xor', 'implies', 'in', 'contains', 'is', 'as']);

/** The values under an element name; `value` finds `valueQuantity` too. */
function childrenOf({ value, type, under }: Place, name: string): Place[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const holder = value as Record<string, unknown>;
  const found = keyOf(holder, type, name);
  if (!found) return [];
  const child = holder[found.key];
  const place = { holder, key: found.key, type: found.type, under: under || found.key };
  return Array.isArray(child)
    ? child.map((one: unknown, index) => ({ ...place, index, value: one }))
    : [{ ...place, index: null, value: child }];
}

function keyOf(
  holder: Record<string, unknown>,
  type: string,
  name: string,
): { key: string; type: string } | null {
  const schema = schemaOf(type);
  const element = schema?.elements[name];
  if (element && Object.hasOwn(holder, name)) return { key: name, type: element.type[0]?.code ?? '' };
  for (const { code } of schema?.elements[`${name}[x]`]?.type ?? []) {
    const key = `${name}${code.charAt(0).toUpperCase()}${code.slice(1)}`;
    if (Object.hasOwn(holder, key)) return { key, type: code };
  }
  return null;
}

/** The definition of a type; null for a primitive and for what is no type. */
export function schemaOf(type: string): InternalTypeSchema | null {
  if (type === 'Resource' || !/^[A-Z]/.test(type)) return null;
  try {
    return getDataType(type);
  } catch {
    return null;
  }
}
