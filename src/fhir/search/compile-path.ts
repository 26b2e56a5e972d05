import { getAllDataTypes, type TypedValue } from '@medplum/core';

/** Gives the values of a compiled path on a resource, or on an element of one; null: this one needs the interpreter. */
export type CompiledPath = (holder: object) => TypedValue[] | null;

/**
 * Compiles the FHIRPath of a search parameter on a type (of resource or element) into property look-ups, for the form that nine of ten published ones have: elements with points between,
 * `ofType(…)`, and `|` between such paths. Which property holds an element, and of what type it is, is worked out once from the definitions; the
 * interpreter works it out for every resource. Null when the expression has another form.
 *
 * Left to the interpreter, too: primitives with extensions (`_value`), elements that are not what their definition says, and several values of a union,
 * since `|` drops doubles.
 */
export function compilePath(type: string, expression: string): CompiledPath | null {
  const paths = expression.split(' | ').map((part) => compileOne(type, part.trim()));
  if (!paths.every((path) => path !== null)) return null;
  const [only] = paths;
  if (paths.length === 1 && only) return (holder) => valuesOf(only, holder);
  return (holder) => {
    let found: TypedValue[] = [];
    for (const path of paths) {
      const values = valuesOf(path, holder);
      if (values === null || (values.length > 0 && found.length > 0)) return null;
      if (values.length > 0) found = values;
    }
    return found.length > 1 ? null : found;
  };
}

/** The properties that may hold the element, each with the type of its values. */
type Step = readonly Property[];

interface Property {
  readonly key: string;
  /** Where a primitive's extensions stand. */
  readonly shadow: string;
  readonly type: string;
}

const PATH = /^([A-Z][A-Za-z]+)((?:\.[a-z][A-Za-z]*(?:\.ofType\([A-Za-z]+\))?)+)$/;

function compileOne(type: string, expression: string): readonly Step[] | null {
  const match = PATH.exec(expression);
  if (match?.[1] !== type) return null;
  const steps: Step[] = [];
  let types: readonly string[] = [type];
  for (const [, name = '', only] of (match[2] ?? '').matchAll(
    /\.([a-z][A-Za-z]*)(?:\.ofType\(([A-Za-z]+)\))?/g,
  )) {
    const from: string | undefined = types[0];
    const step: Step | null = types.length === 1 && from !== undefined ? stepOf(from, name, only) : null;
    if (step === null || step.length === 0) return null;
    steps.push(step);
    types = [...new Set(step.map((property) => property.type))];
  }
  return steps;
}

function stepOf(type: string, name: string, only: string | undefined): Step | null {
  const elements = getAllDataTypes()[type]?.elements;
  const plain = elements?.[name];
  if (plain) {
    const [first, ...others] = plain.type;
    if (!first || others.length > 0 || only !== undefined || NOT_TOLD.has(first.code)) return null;
    return [{ key: name, shadow: `_${name}`, type: first.code }];
  }
  const choice = elements?.[`${name}[x]`];
  if (!choice) return null;
  return choice.type
    .filter(({ code }) => only === undefined || code === only)
    .map(({ code }) => {
      const key = `${name}${code.charAt(0).toUpperCase()}${code.slice(1)}`;
      return { key, shadow: `_${key}`, type: code };
    });
}

/** Whose values say themselves what they are. */
const NOT_TOLD: ReadonlySet<string> = new Set(['Resource', 'Element', 'BackboneElement', '']);

function valuesOf(steps: readonly Step[], holder: object): TypedValue[] | null {
  let values: TypedValue[] = [{ type: '', value: holder }];
  for (const step of steps) {
    const next: TypedValue[] = [];
    for (const { value } of values) {
      if (typeof value !== 'object' || value === null) return null;
      if (!take(value as Record<string, unknown>, step, next)) return null;
    }
    if (next.length === 0) return next;
    values = next;
  }
  return values;
}

/** False: not as the definitions say. */
function take(object: Readonly<Record<string, unknown>>, step: Step, into: TypedValue[]): boolean {
  for (const { key, shadow, type } of step) {
    if (object[shadow] !== undefined) return false;
    const value = object[key];
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === null || item === undefined || Array.isArray(item)) return false;
      into.push({ type, value: item });
    }
    return true;
  }
  return true;
}
