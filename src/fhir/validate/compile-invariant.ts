import { createRequire } from 'node:module';
import { evalFhirPathTyped, parseFhirPath, type TypedValue } from '@medplum/core';
import type { Invariant, InvariantSource } from './invariant.ts';
import { NATIVE_INVARIANTS } from './native-invariants.ts';
import { PRIMITIVES } from './primitives.ts';

/**
 * An invariant, compiled once. Those that every write meets are plain code; the rest are FHIRPath, by `@medplum/core` (quick) or, where
 * that one is wrong, by `fhirpath` (large: loaded when the first such invariant is met). Null: the rule is checked elsewhere, or has no
 * expression. `owner` is the type it stands on.
 */
export function compileInvariant(source: InvariantSource, owner: string): Invariant | null {
  const { key = '', expression } = source;
  if (!expression || BY_THE_WALK.has(key)) return null;
  const known = compiled.get(`${owner} ${key} ${expression}`);
  if (known) return known;
  const invariant: Invariant = {
    key,
    human: source.human ?? source.description ?? '',
    severity: source.severity === 'warning' ? 'warning' : 'error',
    holds: NATIVE_INVARIANTS[key] ?? NATIVE_INVARIANTS[`${owner} ${key}`] ?? evaluatorOf(key, expression),
  };
  compiled.set(`${owner} ${key} ${expression}`, invariant);
  return invariant;
}

/** Decided by the walk itself: they are structure, or need the whole document. */
const BY_THE_WALK = new Set(['ele-1', 'ref-1', 'txt-1', 'txt-2', 'dom-2', 'dom-3', 'dom-4', 'dom-5']);

/**
 * `@medplum/core` gives wrong answers here: `intersect` on complex values, `descendants`, `children`, comparison of quantities, `trace`
 * inside `$this` chains.
 */
const BY_FHIRPATH = new Set(['sdf-9', 'ig-1', 'ig-2', 'mea-1']);

const compiled = new Map<string, Invariant>();

const evaluatorOf = (key: string, expression: string): Invariant['holds'] =>
  BY_FHIRPATH.has(key) ? byFhirpath(expression) : byMedplum(expression);

function byMedplum(expression: string): Invariant['holds'] {
  let atom: ReturnType<typeof parseFhirPath> | null = null;
  return (value, type, { resource, root }) => {
    try {
      atom ??= parseFhirPath(expression);
      const context: TypedValue = { type, value };
      const result = evalFhirPathTyped(atom, [context], {
        '%context': context,
        '%resource': { type: String(resource['resourceType']), value: resource },
        '%rootResource': { type: String(root['resourceType']), value: root },
        '%ucum': { type: 'string', value: 'http://unitsofmeasure.org' },
      });
      return result.length === 1 && result[0]?.value === true;
    } catch {
      return false;
    }
  };
}

type Evaluate = (value: { base: string; expression?: string } | object, env: object) => unknown[];

interface Fhirpath {
  compile(path: { base: string; expression: string } | string, model: unknown, options?: object): Evaluate;
}

let library: { fhirpath: Fhirpath; model: unknown } | null = null;

function fhirpathLibrary(): { fhirpath: Fhirpath; model: unknown } {
  const require = createRequire(import.meta.url);
  library ??= {
    fhirpath: require('fhirpath') as Fhirpath,
    model: require('fhirpath/fhir-context/r4') as unknown,
  };
  return library;
}

/** Evaluated by the `fhirpath` library: the one that is right about everything, at a third of the speed. */
export function byFhirpath(expression: string): Invariant['holds'] {
  const byType = new Map<string, Evaluate>();
  return (value, type, { resource, root }) => {
    try {
      let evaluate = byType.get(type);
      if (!evaluate) {
        const { fhirpath, model } = fhirpathLibrary();
        const options = { traceFn: () => undefined };
        const plain = PRIMITIVES[type] !== undefined;
        const path = plain
          ? { base: 'Extension', expression: `value.select(${expression})` }
          : { base: type, expression };
        evaluate = fhirpath.compile(path, model, options);
        byType.set(type, evaluate);
      }
      const result = evaluate(inObject(value, type), {
        resource,
        rootResource: root,
        ucum: 'http://unitsofmeasure.org',
      });
      return result.length === 1 && result[0] === true;
    } catch {
      return false;
    }
  };
}

/** The library takes objects only, and learns the type of a primitive from the name of its element. */
function inObject(value: unknown, type: string): object {
  if (typeof value === 'object' && value !== null) return value;
  const name = type === 'xhtml' ? 'string' : type;
  return { [`value${name.charAt(0).toUpperCase()}${name.slice(1)}`]: value };
}
