/** R4 conformance-rules.html#constraints: a rule on an element, ready to be asked. */
export interface Invariant {
  readonly key: string;
  /** The rule in words, as its definition states it. */
  readonly human: string;
  readonly severity: 'error' | 'warning';
  /** Does it hold? An expression that cannot be evaluated does not hold (it never throws). */
  holds(value: unknown, type: string, scope: InvariantScope): boolean;
}

export interface InvariantScope {
  /** `%resource`: the resource the element is in; a contained one is one of its own. */
  readonly resource: JsonObject;
  /** `%rootResource`: the resource that contains it, or itself. */
  readonly root: JsonObject;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export interface InvariantSource {
  readonly key?: string;
  readonly human?: string;
  readonly description?: string;
  readonly severity?: string;
  readonly expression?: string;
}
