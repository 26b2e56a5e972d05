import type { SqlParameters } from '../../sql-parameters.ts';
import { existsIn, type SearchTable } from '../exists-in.ts';
import type { SearchedRow } from '../search-kind.ts';
import type { SearchParameter } from '../search-parameters.ts';

/** The marks that follow `Type.parameter` in an entry; `!`: the element is there but has nothing to find it by. */
const MARKS = '#@>:!';

/** Some entry of the parameter: whatever its mark, or with this beginning after the parameter's name. */
export function anyEntry(
  parameter: SearchParameter,
  on: SearchedRow,
  parameters: SqlParameters,
  beginning: string | null = null,
): string {
  const name = `${parameter.type}.${parameter.code}`;
  if (beginning !== null) {
    const start = parameters.add(`${name}${beginning}`, 'text');
    return `EXISTS (SELECT 1 FROM unnest(${on.alias}.tokens) entry WHERE starts_with(entry, ${start}))`;
  }
  const start = parameters.add(name, 'text');
  const marks = parameters.add(MARKS, 'text');
  return `EXISTS (SELECT 1 FROM unnest(${on.alias}.tokens) entry WHERE starts_with(entry, ${start})
    AND strpos(${marks}, substr(entry, length(${start}) + 1, 1)) > 0 AND length(entry) > length(${start}))`;
}

/** A row in the table of the kind, or the mark that the element is there without one. */
export function rowOrMark(
  table: SearchTable,
  parameter: SearchParameter,
  on: SearchedRow,
  parameters: SqlParameters,
): string {
  const mark = parameters.add([`${parameter.type}.${parameter.code}!`], 'text[]');
  return `(${existsIn(table, parameter, on, parameters, [])} OR ${on.alias}.tokens && ${mark})`;
}
