import type { ConceptMap, Resource } from '@medplum/fhirtypes';
import type { Database, Transaction } from '../database/database.ts';
import type { ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import type { ConceptMaps } from './concept-maps.ts';
import { LICENSED_MAP, type TerminologyOptions, terminologyResources } from './shipped-terminology.ts';

/** A site has a handful of maps; more than one page of them is not read at start. */
const MAPS_MAX = 200;

/**
 * Brings the store and the maps in memory together, once at start: writes what we ship and the store does not have in this or a
 * newer business version (an edit of the site stays until we ship a newer version), then reads every active map back. From
 * then on a change over FHIR takes effect with its commit.
 */
export async function keepTerminology(
  store: ResourceStore,
  database: Database,
  maps: ConceptMaps,
  options: TerminologyOptions = {},
): Promise<void> {
  store.onChange(async (tx, changes) => listen(tx, changes, maps));
  await database.transaction(async (tx) => {
    for (const resource of terminologyResources(options)) await writeIfNewer(store, tx, resource);
  });
  const found = await store.search('ConceptMap', `status=active&_count=${MAPS_MAX}`);
  for (const kept of found.matches) {
    const map = kept.parse<ConceptMap>();
    if (options.licensed || map.id !== LICENSED_MAP) maps.put(map);
  }
}

type Shipped = ReturnType<typeof terminologyResources>[number];

async function writeIfNewer(store: ResourceStore, tx: Transaction, resource: Shipped): Promise<void> {
  const id = String(resource.id);
  const kept = await store.read(resource.resourceType, id, tx);
  const keptVersion = kept === null || kept.deleted ? null : kept.parse<Shipped>().version;
  if (keptVersion !== null && !isNewer(resource.version, keptVersion)) return;
  await store.write(tx, [{ kind: 'update', resource: { ...resource, id }, unchanged: 'skip' }]);
}

/** Dotted numbers; a version a site has named otherwise is its own and stays. */
function isNewer(ours: string | undefined, kept: string | undefined): boolean {
  const [a, b] = [ours, kept].map((version) => (version ?? '').split('.').map(Number));
  if (a === undefined || b === undefined || [...a, ...b].some(Number.isNaN)) return false;
  const i = a.findIndex((part, at) => part !== (b[at] ?? 0));
  return i >= 0 && (a[i] ?? 0) > (b[i] ?? 0);
}

/** The change counts when it is committed, not before. */
function listen(tx: Transaction, changes: readonly ResourceChange[], maps: ConceptMaps): void {
  for (const { type, id, resource } of changes) {
    if (type === 'ConceptMap') tx.afterCommit(() => apply(maps, id, resource));
  }
}

function apply(maps: ConceptMaps, id: string, resource: Resource | null): void {
  if (resource?.resourceType === 'ConceptMap') maps.put(resource);
  else maps.remove(id);
}
