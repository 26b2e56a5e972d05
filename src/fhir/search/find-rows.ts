import { accessCondition } from '../access-context.ts';
import type { AccessExtent } from '../access-rule.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { type Build, buildRow, nested } from './build-filter.ts';
import type { EntryStatistics } from './entry-statistics.ts';
import { KINDS } from './kinds/all.ts';
import { patientCodeKeys } from './patient-codes.ts';
import type { SearchedRow, ValueFilter } from './search-kind.ts';
import type { Filter } from './search-query.ts';

/**
 * How the rows of a search are found when a chain or `_has` is part of it. There are two ways, and which is good depends on the data:
 *
 * - from the other end: the resources of the last link are found first, then those that refer to them (or that they refer to) by the
 *   indexes. Right when they are few.
 * - row by row: the outer rows are walked in the order of the page, and each is asked whether its chain holds. Right when so many
 *   resources meet the last link that a page is full after a few steps.
 *
 * The statement holds both. The far end is collected up to a limit; each way carries a condition on how many came, which
 * PostgreSQL looks at before it runs either. So one round trip serves a rare name and `patient.gender=female` alike.
 */

/** More resources at the far end than this are not collected: the rows are walked instead. Each is a key to look up in the index of entries. */
export const CHAIN_END_MAX = 5_000;
/** The same for `_has`, where each is a look-up by id and several may name the same row. */
export const HAS_END_MAX = 20_000;

/** A way to find rows. No row is found by two ways of one search. */
export interface Way {
  /** Looked at once, before any row: without it the way is not gone. */
  readonly gate: string;
  readonly where: string;
  readonly how: How;
}

/**
 * collect: an index finds the rows, which are few: take them all and sort. walk: go through the type in the order of the page until it is
 * full, since many rows match. open: it cannot be told before; PostgreSQL decides by its statistics.
 */
export type How = 'collect' | 'walk' | 'open';

export interface RowsAsked {
  readonly filters: readonly Filter[];
  /** Rows wanted; Infinity: all. */
  readonly limit: number;
  readonly statistics: EntryStatistics | null;
}

/** `sets`: the far ends, as parts of the WITH clause; what is needed is put there. */
export function findRows(on: SearchedRow, asked: RowsAsked, build: Build, sets: string[]): Way[] {
  const { filters } = asked;
  const extent = extentFor(on, build);
  const walk = extent.size === 'part' ? 'open' : 'walk';
  const how = howToFind(on, asked, walk, extent);
  const end = how === 'collect' ? undefined : filters.find(({ kind }) => kind === 'chain' || kind === 'has');
  if (!end) {
    const byType = how !== 'collect' || filters.some(namesIds);
    const byAccess = extent.size === 'few' || !filters.some(isSelective);
    const keys = how === 'collect' && asked.statistics?.patientCodes ? keysOf(on, filters) : null;
    if (keys) return [byKeys(on, filters, keys, build)];
    const where = buildRow(on, filters, build, byType, byAccess);
    return [{ gate: 'TRUE', where: how === 'open' ? where : unseen(where), how }];
  }
  const set = farEnd(end, on, build, sets);
  const held = `(SELECT count(*) FROM ${set})`;
  const most = endMax(end);
  const rest = filters.filter((one) => one !== end);
  const member =
    end.kind === 'chain'
      ? `${on.alias}.tokens && ARRAY(SELECT entry FROM ${set})`
      : `${on.alias}.id = ANY(ARRAY(SELECT DISTINCT entry FROM ${set}))`;
  return [
    {
      gate: `${held} <= ${most}`,
      where: `${member} AND ${buildRow(on, rest, build, end.kind === 'has')}`,
      how: 'collect',
    },
    { gate: `${held} > ${most}`, where: buildRow(on, filters, build), how: walk },
  ];
}

/** Patient and code together, where both are asked for and no id is. */
function keysOf(on: SearchedRow, filters: readonly Filter[]): readonly string[] | null {
  if (filters.some(namesIds)) return null;
  return patientCodeKeys(on.type, filters, (filter) => entriesOf(filter, on)?.[0] ?? null);
}

/** The keys alone find the rows; all the rest is asked of what they find. `(type) IS TRUE` is what the index has of the type, and no other index can take it. */
function byKeys(on: SearchedRow, filters: readonly Filter[], keys: readonly string[], build: Build): Way {
  const sought = new RegExp(`\\b${on.alias}\\.tokens && \\(SELECT \\$\\d+::text\\[\\]\\)`, 'g');
  const rest = unseen(buildRow(on, filters, build, false, false)).replace(sought, '($&) IS TRUE');
  const found = `observation_patient_codes(${on.alias}.tokens) && (SELECT ${build.parameters.add(keys, 'text[]')})`;
  return { gate: 'TRUE', where: `${found} AND ${rest}`, how: 'collect' };
}

/**
 * Hides the values of entries and ids from the planner, whose plan is settled by the form of the statement. A plan made for the values at hand
 * would look cheaper than one for all values, and PostgreSQL would plan anew each time, which costs as much as the search.
 */
const unseen = (where: string): string =>
  where
    .replace(/\.tokens && (\$\d+)(?:::text\[\])?/g, '.tokens && (SELECT $1::text[])')
    .replace(/\.id = ANY\((\$\d+)::text\[\]\)/g, '.id = ANY((SELECT $1::text[])::text[])');

/** Adds a set to the WITH clause: of a chain the entries that outer rows have, of `_has` the ids of outer rows. Gives its name. */
function farEnd(filter: Filter, on: SearchedRow, build: Build, sets: string[]): string {
  const parts: string[] = [];
  if (filter.kind === 'chain') {
    for (const { parameter, type, filter: inner } of filter.links) {
      const row = nested(type, on, build);
      const head = build.parameters.add(`${parameter.type}.${parameter.code}>${type}/`, 'text');
      for (const { gate, where } of findRows(row, { ...ALL, filters: [inner] }, build, sets))
        parts.push(
          `SELECT ${head} || ${row.alias}.id AS entry FROM resource ${row.alias} WHERE ${gate} AND ${where}`,
        );
    }
  }
  if (filter.kind === 'has') {
    for (const { type, code } of filter.parameters) {
      const row = nested(type, on, build);
      const head = build.parameters.add(`${type}.${code}>${on.type}/`, 'text');
      for (const { gate, where } of findRows(row, { ...ALL, filters: [filter.filter] }, build, sets))
        parts.push(`SELECT substr(held, length(${head}) + 1) AS entry
          FROM resource ${row.alias} CROSS JOIN LATERAL unnest(${row.alias}.tokens) held
          WHERE ${gate} AND ${where} AND starts_with(held, ${head})`);
    }
  }
  const name = `far${sets.length}`;
  sets.push(`${name} AS MATERIALIZED (${parts.join(' UNION ALL ')} LIMIT ${endMax(filter) + 1})`);
  return name;
}

const ALL = { limit: Number.POSITIVE_INFINITY, statistics: null };

const endMax = (end: Filter): number => (end.kind === 'chain' ? CHAIN_END_MAX : HAS_END_MAX);

/** A step of a walk that finds nothing costs more than a row collected, and matches may lie together at the far end of the order. */
const WALK_CAUTION = 4;
/** With further filters nothing is known of the order: up to this many rows are collected and looked at. */
const COLLECTED_MAX = 5_000;

function howToFind(
  on: SearchedRow,
  { filters, limit, statistics }: RowsAsked,
  walk: How,
  extent: AccessExtent,
): How {
  if (extent.size === 'few' || filters.some(isSelective)) return 'collect';
  if (filters.length === 0 && extent.sets.length === 0) return walk;
  // What the caller's access asks of a row narrows it like a filter.
  const sets = [...filters.flatMap((filter) => entriesOf(filter, on) ?? []), ...extent.sets];
  if (!statistics || sets.length === 0) return 'open';
  const all = statistics.rowsOf(on.type);
  const counts = sets.flatMap((entries) => statistics.rowsWith(entries) ?? []);
  // Too rare to be known: an index entry or a few.
  if (counts.length < sets.length) return 'collect';
  const found = Math.min(all, ...counts);
  if (sets.length < filters.length + extent.sets.length) return found <= COLLECTED_MAX ? 'collect' : 'open';
  // As if the conditions had nothing to do with each other; what is wrong with that is on the careful side.
  const matching = counts.reduce((rows, count) => rows * Math.min(1, count / all), all);
  const steps = (limit * all) / Math.max(matching, 1);
  return WALK_CAUTION * steps < found ? (extent.sets.length > 0 ? 'walk' : walk) : 'collect';
}

/** How much of the type the caller may see. Where only part of it is seen, a walk would pass all the rest, where an index may know that part. */
function extentFor(on: SearchedRow, { access }: Build): AccessExtent {
  const known = access.extent?.(on.type, 'search');
  if (known) return known;
  const condition = accessCondition(access, on.type, 'search', on.alias, new SqlParameters());
  return { size: condition === null ? 'all' : 'part', sets: [] };
}

/** The entries of which a row must have one, when the filter asks for nothing else: what its kind says is looked at, so they cannot differ. */
export function entriesOf(filter: Filter, on: SearchedRow): [readonly string[]] | null {
  if (filter.kind === 'any') {
    const all = filter.of.map((one) => entriesOf(one, on)?.[0]);
    return all.every((entries) => entries !== undefined) ? [all.flat()] : null;
  }
  if (filter.kind !== 'value' || !OF_ENTRIES.has(filter.value.parameter.kind)) return null;
  if (filter.value.parameter.code === '_id') return null;
  const parameters = new SqlParameters();
  const text = KINDS[filter.value.parameter.kind].condition(filter.value, on, parameters);
  const [entries] = parameters.values;
  const only = parameters.values.length === 1 && Array.isArray(entries) && ENTRIES_ONLY.test(text);
  return only ? [entries as readonly string[]] : null;
}

const OF_ENTRIES: ReadonlySet<string> = new Set(['token', 'reference', 'uri']);
const ENTRIES_ONLY = /^\(?[a-z0-9]+\.tokens && \$1(::text\[\])?\)?$/;

/** Ids are found by the primary key, which begins with the type. */
function namesIds(filter: Filter): boolean {
  if (filter.kind === 'any') return filter.of.some(namesIds);
  return filter.kind === 'value' && filter.value.parameter.code === '_id';
}

/** Finds few rows whatever the data: an id, an identifier, what belongs to one patient, one order, one study. */
export function isSelective(filter: Filter): boolean {
  if (filter.kind === 'any') return filter.of.every(isSelective);
  return filter.kind === 'value' && isSelectiveValue(filter.value);
}

function isSelectiveValue({ parameter, modifier, values, targetType }: ValueFilter): boolean {
  if (parameter.code === '_id') return true;
  if (parameter.code === 'identifier' && parameter.kind === 'token')
    return modifier === null && values.every((value) => !value.endsWith('|'));
  if (parameter.kind !== 'reference' || modifier === 'identifier') return false;
  const only = targetType ?? modifier;
  return values.every((value) => {
    const type = only ?? /(?:^|\/)([A-Z][A-Za-z]+)\/[^/]+$/.exec(value)?.[1];
    return type !== undefined && type !== null && FEW_REFER_TO.has(type);
  });
}

/** Not Organization, Practitioner, Location, Device: half the database may refer to one. */
const FEW_REFER_TO: ReadonlySet<string> = new Set([
  'Patient',
  'RelatedPerson',
  'Encounter',
  'EpisodeOfCare',
  'ServiceRequest',
  'ImagingStudy',
  'DiagnosticReport',
  'Observation',
  'Specimen',
  'Procedure',
  'Condition',
  'Task',
  'Media',
  'DocumentReference',
  'Appointment',
  'CarePlan',
  'Coverage',
  'Claim',
]);
