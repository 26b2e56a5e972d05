/** What a resource leaves in the search tables. Instants are ISO texts or `-infinity`/`infinity`; numbers decimal texts. */
export interface IndexRows {
  readonly tokens: Set<string>;
  readonly dates: DateRow[];
  readonly strings: StringRow[];
  readonly numbers: NumberRow[];
  readonly quantities: QuantityRow[];
}

export interface DateRow {
  readonly param: string;
  readonly lo: string;
  readonly hi: string;
}

export interface StringRow {
  readonly param: string;
  /** Folded: lower case, no accents. */
  readonly value: string;
  readonly exact: string;
}

export interface NumberRow {
  readonly param: string;
  readonly lo: string;
  readonly hi: string;
  /** Which of a composite's elements it stands in, and that element's codes (see `composite-roots.ts`); absent: in none. */
  within?: readonly string[];
}

export interface QuantityRow extends NumberRow {
  readonly system: string;
  readonly code: string;
  readonly unit: string;
  /** Base units, and the range in them; for units that are not converted the code and the same range. */
  readonly canonical: string;
  readonly canonicalLo: string;
  readonly canonicalHi: string;
}

export const noIndexRows = (): IndexRows => ({
  tokens: new Set(),
  dates: [],
  strings: [],
  numbers: [],
  quantities: [],
});

/** GIN keys end near 2,700 bytes: longer entries are cut, at writing and at asking alike. */
export const TOKEN_CHARACTERS_MAX = 500;

export const cutToken = (entry: string): string =>
  entry.length > TOKEN_CHARACTERS_MAX ? entry.slice(0, TOKEN_CHARACTERS_MAX) : entry;
