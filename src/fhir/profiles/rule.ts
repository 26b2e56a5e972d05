import type { RequiredSet } from '../definitions/definitions.ts';
import type { Invariant } from '../validate/invariant.ts';

/** R4 profiling.html: what a profile demands of one element beyond the base definition. Undefined: nothing. */
export interface Rule {
  /** As the definition names it: `component`, `value[x]`, or `valueQuantity` in an older differential. */
  readonly name: string;
  /** Path without slices, `Observation.component.code`: the context of its invariants. */
  readonly path: string;
  readonly slice: string | null;
  min?: number;
  max?: number;
  types?: Map<string, TypeRule>;
  fixed?: unknown;
  pattern?: unknown;
  binding?: Binding;
  /** The extension maxValueSet of a binding that is not required: what no code may lie outside of. */
  outermost?: Binding;
  maxLength?: number;
  invariants: Invariant[];
  slicing?: Slicing;
  readonly slices: Rule[];
  readonly children: Map<string, Rule>;
}

/** R4 terminologies.html#strength; the weaker strengths demand nothing. */
export interface Binding {
  readonly strength: 'required' | 'extensible';
  /** Canonical of the value set. */
  readonly valueSet: string;
  /** Its members, where they are held in memory; null: terminology knows them, or nobody. */
  readonly set: RequiredSet | null;
}

export interface TypeRule {
  /** Profiles of the value itself: it conforms to one of them. */
  readonly profiles: readonly string[];
  /** Profiles of what a Reference points to; empty: any. */
  readonly targets: readonly string[];
}

/** R4 profiling.html#slicing */
export interface Slicing {
  readonly discriminators: readonly { readonly type: string; readonly path: string }[];
  readonly rules: 'closed' | 'open' | 'openAtEnd';
  readonly ordered: boolean;
}

export interface Profile {
  readonly url: string;
  readonly version: string | null;
  /** The type it constrains: `Observation`, `Extension`. */
  readonly type: string;
  readonly root: Rule;
  /** Keys of invariants that are not evaluated, because they came over FHIR and use functions that can run away. */
  readonly unevaluated: readonly string[];
}

/** Finds a profile by canonical URL (`url` or `url|version`); null when this server does not know it. */
export type FindProfile = (canonical: string) => Profile | null;

export const newRule = (name: string, path: string, slice: string | null = null): Rule => ({
  name,
  path,
  slice,
  invariants: [],
  slices: [],
  children: new Map(),
});

/** A copy that may be changed without touching the rule it came from. */
export function cloneRule(rule: Rule): Rule {
  return {
    ...rule,
    ...(rule.types ? { types: new Map(rule.types) } : {}),
    invariants: [...rule.invariants],
    slices: rule.slices.map(cloneRule),
    children: new Map([...rule.children].map(([name, child]) => [name, cloneRule(child)])),
  };
}
