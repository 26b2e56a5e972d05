import type { Resource } from '@medplum/fhirtypes';
import { copyHolder } from '../resource-json.ts';

/**
 * R4 http.html#trules: replaces references (and urls, and links in narrative) to an entry's `fullUrl` by what it became. An
 * identifier that happens to be the same URL stays. The resource itself is left as it is; what does not change is shared with it.
 */
export function replaceReferences<T extends Resource>(resource: T, ids: ReadonlyMap<string, string>): T {
  return ids.size === 0 ? resource : (replaced(resource, '', ids) as T);
}

function replaced(value: unknown, key: string, ids: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') {
    if (LINKS.has(key)) return ids.get(value) ?? value;
    return key === 'div' ? inNarrative(value, ids) : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  let copy: Record<string, unknown> | null = null;
  for (const name in value) {
    const before = (value as Record<string, unknown>)[name];
    const after = replaced(before, Array.isArray(value) ? key : name, ids);
    if (after === before) continue;
    copy ??= copyHolder(value as Record<string, unknown>);
    copy[name] = after;
  }
  return copy ?? value;
}

/** Elements that hold a link: Reference.reference, and uri, url and canonical where they point to a resource. */
const LINKS: ReadonlySet<string> = new Set([
  'reference',
  'url',
  'uri',
  'valueUrl',
  'valueUri',
  'valueCanonical',
  'valueUuid',
  'valueOid',
]);

function inNarrative(div: string, ids: ReadonlyMap<string, string>): string {
  return div.replace(/(\s(?:href|src)=")([^"]{1,400})"/g, (whole, start: string, link: string) => {
    const id = ids.get(link);
    return id === undefined ? whole : `${start}${id}"`;
  });
}

/** All links of a resource that `wanted` picks out, each once. */
export function linksOf(resource: Resource, wanted: (link: string) => boolean): Set<string> {
  const found = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { reference } = value as { reference?: unknown };
    if (typeof reference === 'string' && wanted(reference)) found.add(reference);
    // Every resource of a Bundle is walked more than once: no list of its values is made.
    for (const name in value) walk((value as Record<string, unknown>)[name]);
  };
  walk(resource);
  return found;
}
