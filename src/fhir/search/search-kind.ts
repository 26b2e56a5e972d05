import type { TypedValue } from '@medplum/core';
import type { SqlParameters } from '../sql-parameters.ts';
import type { IndexRows } from './index-rows.ts';
import type { SearchParameter } from './search-parameters.ts';

/** How one kind of search parameter (R4 search.html#ptypes) is indexed and queried. */
export interface SearchKind {
  /** The modifiers it understands beside `:missing`. */
  readonly modifiers: readonly string[];
  /** Puts the values of one parameter of one resource into the rows. `base` is our own FHIR base URL. */
  index(parameter: SearchParameter, values: readonly TypedValue[], into: IndexRows, base: string): void;
  /** A condition on the row `on`: true when any of the filter's values matches (comma means or). */
  condition(filter: ValueFilter, on: SearchedRow, parameters: SqlParameters): string;
  /** R4 search.html#missing: a condition that is true when the resource has the element (for a reference: one to `targetType`). */
  present(
    parameter: SearchParameter,
    on: SearchedRow,
    parameters: SqlParameters,
    targetType?: string | null,
  ): string;
}

/** One `name:modifier=value,value` of a query, its parameter known. */
export interface ValueFilter {
  readonly parameter: SearchParameter;
  /** What was written after the colon: `exact`, `Patient`; null when nothing was. */
  readonly modifier: string | null;
  /** As written between the commas, escapes and all: each kind splits at `|` or `$` and then unescapes (`split-value.ts`). */
  readonly values: readonly string[];
  /** Only references to this type count (`patient` is `subject`, limited to Patient). */
  readonly targetType?: string;
}

/** Which row a condition is about. */
export interface SearchedRow {
  readonly type: string;
  /** Alias of the table `resource`. */
  readonly alias: string;
  /** Our own FHIR base URL, for absolute references to ourselves. */
  readonly base: string;
}
