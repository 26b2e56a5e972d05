import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition } from '../access-context.ts';
import type { SqlParameters } from '../sql-parameters.ts';
import { existsIn, type SearchTable } from './exists-in.ts';
import { KINDS } from './kinds/all.ts';
import { dateCondition, instants } from './kinds/date.ts';
import { hasEntryThatStarts } from './kinds/token.ts';
import { splitPrefix } from './prefix.ts';
import type { SearchedRow, ValueFilter } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';
import type { ChainTarget, Filter } from './search-query.ts';

/** What every part of the SQL needs; the aliases of nested searches are counted here. */
export interface Build {
  readonly access: AccessContext;
  readonly parameters: SqlParameters;
  readonly base: string;
  aliases: number;
}

/** The filter as a condition on the row `on`. Values are bound, never pasted. */
export function buildFilter(filter: Filter, on: SearchedRow, build: Build): string {
  switch (filter.kind) {
    case 'value':
      return valueCondition(filter.value, on, build);
    case 'missing':
      return presence(filter.parameter, on, build);
    case 'any':
      return `(${filter.of.map((one) => buildFilter(one, on, build)).join(' OR ')})`;
    case 'not':
      return `NOT ${buildFilter(filter.filter, on, build)}`;
    case 'chain':
      return `(${filter.to.map((to) => chain(filter.parameter, to, on, build)).join(' OR ')})`;
    case 'has':
      return has(filter.parameter, filter.filter, on, build);
  }
}

function valueCondition(filter: ValueFilter, on: SearchedRow, build: Build): string {
  const { parameters } = build;
  if (filter.parameter.code === '_id')
    return `${on.alias}.id = ANY(${parameters.add(filter.values, 'text[]')})`;
  if (filter.parameter.code === '_lastUpdated') return lastUpdated(filter, on, parameters);
  return KINDS[filter.parameter.kind].condition(filter, on, parameters);
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

const TABLES: Readonly<Record<string, SearchTable>> = {
  date: 'search_date',
  string: 'search_string',
  number: 'search_number',
  quantity: 'search_quantity',
};

/** The element is there: some entry of the parameter, or a row in the table of its kind. */
function presence(parameter: SearchParameter, on: SearchedRow, build: Build): string {
  const name = `${parameter.type}.${parameter.code}`;
  const starts = ['#', '@', '>', ':', '!'].map((mark) => build.parameters.add(`${name}${mark}`, 'text'));
  const table = TABLES[parameter.kind];
  const parts = [`(${starts.map((start) => hasEntryThatStarts(on.alias, start)).join(' OR ')})`];
  if (table) parts.push(existsIn(table, parameter, on, build.parameters, []));
  return `(${parts.join(' OR ')})`;
}

/**
 * The ids that meet the inner filter are found first, once, and become entries to look up in the GIN index of the outer rows. The inner
 * search obeys the caller's access like any other.
 */
function chain(parameter: SearchParameter, to: ChainTarget, on: SearchedRow, build: Build): string {
  const inner = nested(to.type, on, build);
  const start = build.parameters.add(`${parameter.type}.${parameter.code}>${to.type}/`, 'text');
  const where = buildRow(inner, [to.filter], build);
  return `${on.alias}.tokens && ARRAY(SELECT ${start} || ${inner.alias}.id FROM resource ${inner.alias} WHERE ${where})`;
}

function has(parameter: SearchParameter, filter: Filter, on: SearchedRow, build: Build): string {
  const inner = nested(parameter.type, on, build);
  const start = build.parameters.add(`${parameter.type}.${parameter.code}>${on.type}/`, 'text');
  const where = buildRow(inner, [filter], build);
  return `EXISTS (SELECT 1 FROM resource ${inner.alias} WHERE ${where} AND ${inner.alias}.tokens @> ARRAY[${start} || ${on.alias}.id])`;
}

function nested(type: string, on: SearchedRow, build: Build): SearchedRow {
  build.aliases += 1;
  return { type, alias: `r${build.aliases}`, base: on.base };
}

/** Everything a row must meet to be found: its type, not deleted, the caller's access, the filters. The only place that says so. */
export function buildRow(on: SearchedRow, filters: readonly Filter[], build: Build): string {
  const access = accessCondition(build.access, on.type, 'search', on.alias, build.parameters);
  const conditions = [
    `${on.alias}.type = ${build.parameters.add(on.type, 'text')}`,
    `NOT ${on.alias}.deleted`,
    ...(access === null ? [] : [`(${access})`]),
    ...filters.map((filter) => buildFilter(filter, on, build)),
  ];
  return conditions.join(' AND ');
}
