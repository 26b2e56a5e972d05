import type { ValueFilter } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';

/** A search as understood: every parameter known, every number bounded. */
export interface SearchQuery {
  /** The type in the URL; null: a search of the whole system. */
  readonly type: string | null;
  /** One part per type searched, each with its own filters; a search of one type has one. */
  readonly searches: readonly TypeSearch[];
  readonly sort: readonly SortRule[];
  /** Matches on a page. */
  readonly count: number;
  /** R4 search.html#total */
  readonly total: 'none' | 'estimate' | 'accurate';
  /** Only the count is asked for. */
  readonly countOnly: boolean;
  /** Where the page before this one ended. */
  readonly after: PagePosition | null;
  readonly includes: readonly Include[];
  /** The parameters that were used, for the self link; those ignored are left out. */
  readonly used: readonly (readonly [string, string])[];
  /** Names of unknown parameters that a lenient search ignored, where a name can be told. */
  readonly ignored: readonly string[];
}

export interface TypeSearch {
  readonly type: string;
  /** All must be met. */
  readonly filters: readonly Filter[];
}

/** The sort values (null: has none), type and id of a page's last match. */
export interface PagePosition {
  readonly keys: readonly (string | null)[];
  readonly type: string;
  readonly id: string;
}

export type Filter =
  | { readonly kind: 'value'; readonly value: ValueFilter }
  /** Has the element, `targetType` limiting it as in `ValueFilter`. */
  | { readonly kind: 'present'; readonly parameter: SearchParameter; readonly targetType?: string }
  /** Refers, by any of the links, to a resource that itself meets the link's filter. */
  | { readonly kind: 'chain'; readonly links: readonly ChainLink[] }
  /** Some resource that meets the filter refers here by any of the parameters. */
  | { readonly kind: 'has'; readonly parameters: readonly SearchParameter[]; readonly filter: Filter }
  | { readonly kind: 'any'; readonly of: readonly Filter[] }
  | { readonly kind: 'not'; readonly filter: Filter };

export interface ChainLink {
  readonly parameter: SearchParameter;
  /** Type of the resource referred to. */
  readonly type: string;
  readonly filter: Filter;
}

export interface SortRule {
  /** `_id`, `_lastUpdated` or a parameter of every type searched. */
  readonly code: string;
  readonly descending: boolean;
}

/** `_include=Type:parameter[:target]`, or the same backwards. */
export interface Include {
  readonly reverse: boolean;
  /** `:iterate`: for included resources too, not for the matches only. */
  readonly iterate: boolean;
  readonly parameter: SearchParameter;
  readonly targetType: string | null;
}
