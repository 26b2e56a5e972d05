import { isDeepStrictEqual } from 'node:util';
import type { Resource } from '@medplum/fhirtypes';
import type { Acting } from '../../kernel/acting.ts';
import { Failure } from '../../kernel/errors.ts';
import { copyWith, printJson } from '../resource-json.ts';
import { instantText, StoredResource } from '../stored-resource.ts';

/** A change that is asked for. */
export type ResourceWrite =
  /** A new resource; an `id` in it is used (make one with `newResourceId`), else one is made. */
  | { readonly kind: 'create'; readonly resource: Resource }
  /** The next version; creates the resource under its id when there is none. */
  | {
      readonly kind: 'update';
      readonly resource: Resource & { id: string };
      /** Refused with `fhir.version-conflict` unless this is the current version; `*`: unless there is one; null: unless there is none. */
      readonly ifVersion?: string | null;
      /** `skip`: writes nothing when the content is the same, so that a repeated step makes no new version. */
      readonly unchanged?: 'skip';
      /** Makes the new meta out of what was sent and what is there (`undefined`: no resource yet). Left out: as sent. */
      readonly mergeMeta?: (sent: Resource['meta'], previous: Resource['meta']) => Resource['meta'];
    }
  /** Deleting what is not there, or is deleted already, changes nothing. */
  | { readonly kind: 'delete'; readonly type: string; readonly id: string; readonly ifVersion?: string };

/** A change that was made. */
export interface ResourceChange {
  readonly type: string;
  readonly id: string;
  readonly versionId: string;
  readonly interaction: 'create' | 'update' | 'delete';
  /** As stored, with the server's meta; null after a delete. */
  readonly resource: Resource | null;
  /** The version before; absent for a create. */
  readonly previous?: Resource;
  /** What it is a part of, when several share the transaction; left out: what runs now. */
  acting?: Acting;
}

/** What becomes of one write. */
export interface Planned {
  readonly stored: StoredResource;
  /** Null: nothing changes. */
  readonly change: ResourceChange | null;
  /** A row is there to be superseded, at this version. */
  readonly supersedes: number | null;
}

/** Decides one write against the current row. Pure but for the parse of the current version. */
export function planWrite(
  write: ResourceWrite,
  id: string,
  current: StoredResource | null,
  now: Date,
): Planned {
  const alive = current !== null && !current.deleted;
  checkVersion(write, alive ? current : null);
  if (write.kind === 'delete') return planDelete(write.type, id, current, now);
  if (write.kind === 'create' && current) {
    throw new Failure('fhir.conflict', 'A resource with this id exists already.', { retry: false });
  }
  if (
    alive &&
    write.kind === 'update' &&
    write.unchanged === 'skip' &&
    sameContent(write.resource, current.parse())
  ) {
    return { stored: current, change: null, supersedes: null };
  }
  const version = versionAfter(current);
  const lastUpdated = instantAfter(current, now);
  const sent = merged(write, alive ? current : null);
  const resource = withServerMeta(sent, id, String(version), lastUpdated);
  const { resourceType: type } = resource;
  const method = write.kind === 'create' ? 'POST' : 'PUT';
  const made = { type, id, versionId: String(version), resource };
  return {
    stored: new StoredResource(type, id, String(version), lastUpdated, false, printJson(resource), method),
    change: alive
      ? {
          ...made,
          interaction: 'update',
          // Parsed when somebody asks: few do.
          get previous() {
            return current.parse();
          },
        }
      : { ...made, interaction: 'create' },
    supersedes: current ? version - 1 : null,
  };
}

function merged(
  write: Exclude<ResourceWrite, { kind: 'delete' }>,
  previous: StoredResource | null,
): Resource {
  const { resource } = write;
  if (write.kind === 'create' || !write.mergeMeta) return resource;
  const meta = write.mergeMeta(resource.meta, previous ? metaOf(previous) : undefined);
  return meta === resource.meta ? resource : copyWith(resource, { meta });
}

/** Most resources have nothing in their meta but what the server puts there, and that stands at the beginning of the text: no need to parse it all. */
function metaOf(stored: StoredResource): Resource['meta'] {
  return PLAIN_META.test(stored.json) ? {} : stored.parse().meta;
}

const PLAIN_META =
  /^\{"resourceType":"[A-Za-z]+","id":"[A-Za-z0-9.-]+","meta":\{"versionId":"\d+","lastUpdated":"[^"\\]+"\}[,}]/;

function checkVersion(write: ResourceWrite, current: StoredResource | null): void {
  if (
    write.kind === 'create' ||
    write.ifVersion === undefined ||
    (write.ifVersion ?? undefined) === current?.versionId ||
    (write.ifVersion === '*' && current?.deleted === false)
  )
    return;
  throw new Failure(
    'fhir.version-conflict',
    write.ifVersion === null
      ? 'There is a resource under this id already.'
      : 'The resource has another version now, or is not there; read it and try again.',
  );
}

function planDelete(type: string, id: string, current: StoredResource | null, now: Date): Planned {
  if (!current || current.deleted) {
    const nothing = new StoredResource(
      type,
      id,
      current?.versionId ?? '0',
      current?.lastUpdated ?? now,
      true,
      '',
      'DELETE',
    );
    return { stored: nothing, change: null, supersedes: null };
  }
  const version = versionAfter(current);
  const stored = new StoredResource(
    type,
    id,
    String(version),
    instantAfter(current, now),
    true,
    '',
    'DELETE',
  );
  return {
    stored,
    change: {
      type,
      id,
      versionId: String(version),
      interaction: 'delete',
      resource: null,
      previous: current.parse(),
    },
    supersedes: version - 1,
  };
}

const versionAfter = (current: StoredResource | null): number => Number(current?.versionId ?? 0) + 1;

/** Versions never go back in time, even when the clock does. */
const instantAfter = (current: StoredResource | null, now: Date): Date =>
  current && current.lastUpdated >= now ? new Date(current.lastUpdated.getTime() + 1) : now;

/** R4 resource.html#Meta: versionId and lastUpdated are the server's, whatever the client sent. */
function withServerMeta(resource: Resource, id: string, versionId: string, lastUpdated: Date): Resource {
  const meta = { ...resource.meta, versionId, lastUpdated: instantText(lastUpdated) };
  // resourceType, id and meta first, as people expect to read them.
  const first = { resourceType: resource.resourceType, id, meta };
  return copyWith(resource, { id, meta }, first);
}

/** Same content, the server's part of meta apart. The order of keys does not count. */
function sameContent(a: Resource, b: Resource): boolean {
  return isDeepStrictEqual(comparable(a), comparable(b));
}

function comparable(resource: Resource): unknown {
  const { versionId, lastUpdated, ...meta } = resource.meta ?? {};
  return JSON.parse(printJson(copyWith(resource, { meta })));
}
