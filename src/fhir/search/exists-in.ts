import type { SqlParameters } from '../sql-parameters.ts';
import type { SearchedRow } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';

export type SearchTable = 'search_date' | 'search_string' | 'search_number' | 'search_quantity';

/** True when the resource has a row in the table (alias `s`) under the parameter that meets any of the conditions; none given: any row. */
export function existsIn(
  table: SearchTable,
  parameter: SearchParameter,
  on: SearchedRow,
  parameters: SqlParameters,
  conditions: readonly string[],
): string {
  const type = parameters.add(on.type, 'text');
  const code = parameters.add(parameter.code, 'text');
  const any = conditions.length === 0 ? '' : ` AND (${conditions.join(' OR ')})`;
  return `EXISTS (SELECT 1 FROM ${table} s WHERE s.type = ${type} AND s.id = ${on.alias}.id AND s.param = ${code}${any})`;
}
