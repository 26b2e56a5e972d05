import type { Subset } from '../interactions/subset.ts';
import { subsetJson } from '../interactions/subset.ts';
import { COMMA_VALUES_MAX } from '../search/parse-filter.ts';
import type { StoredResource } from '../stored-resource.ts';
import type { ExportRequest } from './bulk-job.ts';
import { type ExportUnit, patientsOf } from './export-units.ts';

export interface ExportLines {
  readonly output: readonly string[];
  readonly deleted: readonly string[];
}

/** The NDJSON lines of a page: resources as stored (or their `_elements`), deletions as Bundles (Bulk Data Access IG, manifest `deleted`). */
export function exportLines(
  resources: readonly StoredResource[],
  unit: ExportUnit,
  context: { request: ExportRequest; chunkOf: ReadonlyMap<string, number> | null; subset: Subset | null },
): ExportLines {
  const output: string[] = [];
  const deleted: string[] = [];
  for (const stored of resources) {
    if (stored.deleted) deleted.push(deletion(stored));
    else if (belongs(stored, unit, context)) output.push(subsetJson(stored, context.subset));
  }
  return { output, deleted };
}

/** In a patient compartment at all; of named patients or a group, with the first of them only, so that no resource comes twice. */
function belongs(
  stored: StoredResource,
  unit: ExportUnit,
  { request, chunkOf }: { request: ExportRequest; chunkOf: ReadonlyMap<string, number> | null },
): boolean {
  if (request.level === 'system') return true;
  const patients = patientsOf(stored.parse());
  if (chunkOf === null) return patients.length > 0;
  const chunks = patients.flatMap((id) => chunkOf.get(id) ?? []);
  return chunks.length > 0 && Math.min(...chunks) === unit.chunk;
}

/** Which chunk of the search each member is in. */
export const chunksOf = (members: readonly string[]): Map<string, number> =>
  new Map(members.map((id, at) => [id, Math.floor(at / COMMA_VALUES_MAX)]));

const deletion = ({ type, id }: StoredResource): string =>
  `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"${type}/${id}"}}]}`;
