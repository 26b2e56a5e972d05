import type { Resource } from '@medplum/fhirtypes';
import { type IndexRows, noIndexRows } from './index-rows.ts';
import { KINDS } from './kinds/all.ts';
import { parametersPresentIn } from './search-parameters.ts';

/**
 * Everything the search tables hold of a resource. A parameter that is answered by others leaves nothing. An element that is there but
 * gives no entry (a concept with text only) leaves `Type.parameter!`, so that `:missing` is right.
 */
export function indexResource(resource: Resource, base: string): IndexRows {
  const rows = noIndexRows();
  for (const parameter of parametersPresentIn(resource)) {
    const values = parameter.values(resource);
    if (values.length === 0) continue;
    const before = countOf(rows);
    KINDS[parameter.kind].index(parameter, values, rows, base);
    if (countOf(rows) === before && parameter.kind !== 'composite')
      rows.tokens.add(`${parameter.type}.${parameter.code}!`);
  }
  indexedBefore.set(resource, rows);
  return rows;
}

/** The same for a resource that was indexed a moment ago, as those just written were: nothing is worked out twice. */
export function indexedRows(resource: Resource, base: string): IndexRows {
  return indexedBefore.get(resource) ?? indexResource(resource, base);
}

const indexedBefore = new WeakMap<Resource, IndexRows>();

function countOf(rows: IndexRows): number {
  return (
    rows.tokens.size + rows.dates.length + rows.strings.length + rows.numbers.length + rows.quantities.length
  );
}
