import type { ValueFilter } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';

/** A search as understood: every parameter known, every number bounded. */
export interface SearchQuery {
  readonly type: string;
  /** All must be met. */
  readonly filters: readonly Filter[];
  readonly sort: readonly SortRule[];
  readonly count: number;
  /** Count the matches? */
  readonly total: boolean;
  /** Only the count is asked for. */
  readonly countOnly: boolean;
  /** Where the page before this one ended: the sort values and the id of its last match. */
  readonly after: readonly string[] | null;
  readonly includes: readonly Include[];
  /** The parameters that were used, for the self link; those ignored are left out. */
  readonly used: readonly (readonly [string, string])[];
}

export type Filter =
  | { readonly kind: 'value'; readonly value: ValueFilter }
  | { readonly kind: 'missing'; readonly parameter: SearchParameter; readonly missing: boolean }
  /** A reference to a resource that itself meets the filter; one entry per possible type of it. */
  | { readonly kind: 'chain'; readonly parameter: SearchParameter; readonly to: readonly ChainTarget[] }
  /** Some resource of `parameter.type` refers here by `parameter` and meets the filter. */
  | { readonly kind: 'has'; readonly parameter: SearchParameter; readonly filter: Filter }
  | { readonly kind: 'any'; readonly of: readonly Filter[] }
  | { readonly kind: 'not'; readonly filter: Filter };

export interface ChainTarget {
  readonly type: string;
  readonly filter: Filter;
}

export interface SortRule {
  /** `_id`, `_lastUpdated` or a date parameter. */
  readonly code: string;
  readonly descending: boolean;
}

/** `_include=Type:parameter[:target]`, or the same backwards. */
export interface Include {
  readonly reverse: boolean;
  readonly parameter: SearchParameter;
  readonly targetType: string | null;
}
