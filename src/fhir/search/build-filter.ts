import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition } from '../access-context.ts';
import { atParameter } from '../at-parameter.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { KINDS } from './kinds/all.ts';
import { dateCondition, instants } from './kinds/date.ts';
import { splitPrefix } from './prefix.ts';
import type { SearchedRow, ValueFilter } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';
import type { ChainLink, Filter } from './search-query.ts';
import { unescaped } from './split-value.ts';

/** What every part of the SQL needs; the aliases of nested searches are counted here. */
export interface Build {
  readonly access: AccessContext;
  readonly parameters: SqlParameters;
  readonly base: string;
  aliases: number;
}

export const newBuild = (access: AccessContext, base: string): Build => ({
  access,
  base,
  parameters: new SqlParameters(),
  aliases: 0,
});

/**
 * Everything a row must meet to be found: its type, not deleted, the caller's access, the filters. The only place that says so. Rows that are found by
 * their entries are of the type anyway: there an index must not bring all rows of the type as well (`byType` false), nor, where the filters leave few,
 * all that the caller may see (`byAccess` false).
 */
export function buildRow(
  on: SearchedRow,
  filters: readonly Filter[],
  build: Build,
  byType = true,
  byAccess = true,
): string {
  const type = `${on.alias}.type = ${build.parameters.name(on.type)}`;
  const access = accessCondition(build.access, on.type, 'search', on.alias, build.parameters);
  const conditions = [
    byType ? type : `(${type}) IS TRUE`,
    `NOT ${on.alias}.deleted`,
    ...(access === null ? [] : [byAccess ? `(${access})` : `((${access}) IS TRUE)`]),
    ...filters.map((filter) => buildFilter(filter, on, build)),
  ];
  return conditions.join(' AND ');
}

/**
 * The filter as a condition that is looked at row by row: it needs nothing beside the row `on`. Where the rows are better found from the
 * other end of a chain, `find-rows.ts` does that. Values are bound, never pasted.
 */
function buildFilter(filter: Filter, on: SearchedRow, build: Build): string {
  switch (filter.kind) {
    case 'value':
      return valueCondition(filter.value, on, build);
    case 'present':
      return present(filter.parameter, filter.targetType, on, build);
    case 'any':
      return `(${filter.of.map((one) => buildFilter(one, on, build)).join(' OR ')})`;
    case 'not':
      return `NOT ${buildFilter(filter.filter, on, build)}`;
    case 'chain':
      return `(${filter.links.map((link) => refersTo(link, on, build)).join(' OR ')})`;
    case 'has':
      return isReferredTo(filter.parameters, filter.filter, on, build);
  }
}

function valueCondition(filter: ValueFilter, on: SearchedRow, build: Build): string {
  const { parameters } = build;
  const { code, kind } = filter.parameter;
  if (code === '_id')
    return `${on.alias}.id = ANY(${parameters.add(filter.values.map(unescaped), 'text[]')})`;
  try {
    if (code === '_lastUpdated') return lastUpdated(filter, on, parameters);
    return KINDS[kind].condition(filter, on, parameters);
  } catch (error) {
    throw atParameter(error, code);
  }
}

/** lastUpdated is a column, kept to the millisecond: an interval of one. */
function lastUpdated(filter: ValueFilter, on: SearchedRow, parameters: SqlParameters): string {
  const column = `${on.alias}.last_updated`;
  const any = filter.values.map((text) => {
    const { prefix, value } = splitPrefix(text);
    const asked = instants(value);
    if (!asked) throw new Failure('fhir.invalid', 'The value of _lastUpdated is not a date.');
    const end = `(${column} + interval '1 millisecond')`;
    return dateCondition(prefix, asked, column, end, (instant) => parameters.add(instant, 'timestamptz'));
  });
  return `(${any.join(' OR ')})`;
}

/** R4 search.html#missing. Columns of the row are in every resource. */
function present(
  parameter: SearchParameter,
  targetType: string | undefined,
  on: SearchedRow,
  { parameters }: Build,
): string {
  if (parameter.code === '_id' || parameter.code === '_lastUpdated') return 'TRUE';
  return KINDS[parameter.kind].present(parameter, on, parameters, targetType ?? null);
}

/**
 * Some entry of the row refers to a resource that meets the link's filter. Each nested search obeys the caller's access like any other: what
 * may not be seen cannot be learned of by asking.
 */
function refersTo({ parameter, type, filter }: ChainLink, on: SearchedRow, build: Build): string {
  const inner = nested(type, on, build);
  const head = build.parameters.add(`${parameter.type}.${parameter.code}>${type}/`, 'text');
  const where = buildRow(inner, [filter], build);
  return `EXISTS (SELECT 1 FROM unnest(${on.alias}.tokens) entry JOIN resource ${inner.alias}
    ON ${inner.alias}.id = substr(entry, length(${head}) + 1) WHERE starts_with(entry, ${head}) AND ${where} OFFSET 0)`;
}

/** Some resource that meets the filter refers to the row. OFFSET 0 keeps it a look per row: it stands where most rows match. */
function isReferredTo(
  parameters: readonly SearchParameter[],
  filter: Filter,
  on: SearchedRow,
  build: Build,
): string {
  const type = parameters[0]?.type ?? '';
  const inner = nested(type, on, build);
  const heads = parameters.map((one) => build.parameters.add(`${type}.${one.code}>${on.type}/`, 'text'));
  const entries = heads.map((head) => `${head} || ${on.alias}.id`).join(', ');
  const where = buildRow(inner, [filter], build);
  return `EXISTS (SELECT 1 FROM resource ${inner.alias} WHERE ${where} AND ${inner.alias}.tokens && ARRAY[${entries}] OFFSET 0)`;
}

/** The row of a search inside this one. */
export function nested(type: string, on: SearchedRow, build: Build): SearchedRow {
  build.aliases += 1;
  return { type, alias: `r${build.aliases}`, base: on.base };
}
