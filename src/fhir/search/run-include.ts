import type { Sql } from '../../database/database.ts';
import type { AccessContext } from '../access-context.ts';
import { type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';
import { buildInclude } from './build-search.ts';
import { sources } from './parameter-sources.ts';
import type { Include } from './search-query.ts';
import { SEARCH_MS_MAX } from './time-limits.ts';

/** Included resources of one page. What is above is left out, and the answer says so. */
export const INCLUDED_MAX = 1_000;
/** `:iterate` goes on from what was included before, this many times at most. */
export const INCLUDE_ROUNDS_MAX = 5;

/** A row, with those of its entries that the includes begin at. */
export type IncludingRow = ResourceRow & { readonly refs?: readonly string[] };

/** What the includes must know of a row that they begin at. */
export type IncludedFrom = Pick<IncludingRow, 'type' | 'id' | 'refs'>;

export interface Included {
  readonly resources: readonly StoredResource[];
  /** A limit was met: there would have been more. */
  readonly cut: boolean;
}

/** Beginnings of the entries that the forward includes follow, for the column `refs`. */
export const includeHeads = (includes: readonly Include[]): string[] =>
  includes.filter(({ reverse }) => !reverse).flatMap(headsOf);

const headsOf = ({ parameter }: Include): string[] =>
  sources(parameter).map(
    ({ source, targetType }) => `${source.type}.${source.code}>${targetType ? `${targetType}/` : ''}`,
  );

/**
 * R4 search.html#include: what the matches refer to and what refers to them, each once, one statement per round. Further rounds are for
 * `:iterate`. The caller sees of it what a search would show.
 */
export async function runInclude(
  sql: Sql,
  matches: readonly IncludedFrom[],
  includes: readonly Include[],
  access: AccessContext,
  base: string,
): Promise<Included> {
  if (includes.length === 0) return NOTHING;
  const seen = new Set(matches.map(keyOf));
  const resources: StoredResource[] = [];
  let from = matches;
  let active = includes;
  for (let round = 0; active.length > 0 && from.length > 0; round++) {
    const wanted = wantedOf(from, active, seen, access);
    if (wanted.ids.size === 0 && wanted.entries.size === 0) break;
    if (round === INCLUDE_ROUNDS_MAX) return { resources, cut: true };
    active = includes.filter(({ iterate }) => iterate);
    // What was seen already may come again by a reverse include.
    const limit = INCLUDED_MAX + seen.size + 1;
    const built = buildInclude({ ...wanted, limit, heads: includeHeads(active) }, access, base);
    const rows = await sql.run<IncludingRow>({ text: built.text, timeoutMs: SEARCH_MS_MAX }, built.values);
    const fresh = rows.filter((row) => !seen.has(keyOf(row)) && seen.add(keyOf(row)));
    from = fresh;
    const room = INCLUDED_MAX - resources.length;
    resources.push(...fresh.slice(0, room).map(rowToStored));
    if (fresh.length > room) return { resources, cut: true };
  }
  return { resources, cut: false };
}

const NOTHING: Included = { resources: [], cut: false };

const keyOf = ({ type, id }: { type: string; id: string }): string => `${type}/${id}`;

interface Wanted {
  readonly ids: ReadonlyMap<string, readonly string[]>;
  readonly entries: ReadonlyMap<string, readonly string[]>;
}

function wantedOf(
  rows: readonly IncludedFrom[],
  includes: readonly Include[],
  seen: ReadonlySet<string>,
  access: AccessContext,
): Wanted {
  const forward = new Set<string>();
  const entries = new Set<string>();
  for (const one of includes) {
    for (const row of rows) {
      if (one.reverse) for (const entry of entriesTo(one, row)) entries.add(entry);
      else for (const key of referredBy(one, row)) if (!seen.has(key)) forward.add(key);
    }
  }
  const may = ([type]: readonly [string, unknown]): boolean => access.allows(type, 'search');
  const ids = Map.groupBy(
    [...forward].map((key) => key.split('/') as [string, string]),
    ([type]) => type,
  );
  const byType = Map.groupBy(entries, (entry) => entry.slice(0, entry.indexOf('.')));
  return {
    ids: new Map([...ids].filter(may).map(([type, pairs]) => [type, pairs.map(([, id]) => id)])),
    entries: new Map([...byType].filter(may)),
  };
}

/** `Type/id` of what the row refers to by the include's parameter. References to other servers and by URL lead nowhere here. */
function referredBy(include: Include, { type, refs }: IncludedFrom): string[] {
  if (type !== include.parameter.type) return [];
  const heads = headsOf(include);
  return (refs ?? []).flatMap((entry) => {
    if (!heads.some((head) => entry.startsWith(head))) return [];
    const [, target, id] = /^[^>]*>([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9\-.]{1,64})$/.exec(entry) ?? [];
    if (target === undefined || (include.targetType !== null && target !== include.targetType)) return [];
    return [`${target}/${id}`];
  });
}

/** The entries by which others refer to the row with the include's parameter. */
function entriesTo({ parameter, targetType }: Include, { type, id }: IncludedFrom): string[] {
  if (targetType !== null && targetType !== type) return [];
  return sources(parameter)
    .filter(({ source, targetType: only }) =>
      only === undefined ? source.targets.length === 0 || source.targets.includes(type) : only === type,
    )
    .map(({ source }) => `${source.type}.${source.code}>${type}/${id}`);
}
