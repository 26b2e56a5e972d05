import type { Resource } from '@medplum/fhirtypes';
import { type IndexRows, noIndexRows } from './index-rows.ts';
import { KINDS } from './kinds/all.ts';
import { searchParametersOf } from './search-parameters.ts';

/**
 * Everything the search tables hold of a resource. A parameter that is answered by others leaves nothing. An element that is there but
 * gives no entry (a concept with text only) leaves `Type.parameter!`, so that `:missing` is right.
 */
export function indexResource(resource: Resource, base: string): IndexRows {
  const rows = noIndexRows();
  for (const parameter of searchParametersOf(resource.resourceType).values()) {
    if (parameter.answeredBy) continue;
    const values = parameter.values(resource);
    if (values.length === 0) continue;
    const before = countOf(rows);
    KINDS[parameter.kind].index(parameter, values, rows, base);
    if (countOf(rows) === before) rows.tokens.add(`${parameter.type}.${parameter.code}!`);
  }
  return rows;
}

function countOf(rows: IndexRows): number {
  return (
    rows.tokens.size + rows.dates.length + rows.strings.length + rows.numbers.length + rows.quantities.length
  );
}
