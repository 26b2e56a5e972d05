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
  return Array.isArray(value)
    ? replacedItems(value, key, ids)
    : replacedMembers(value as Record<string, unknown>, ids);
}

function replacedItems(items: readonly unknown[], key: string, ids: ReadonlyMap<string, string>): unknown {
  let copy: unknown[] | null = null;
  for (let at = 0; at < items.length; at += 1) {
    const after = replaced(items[at], key, ids);
    if (after === items[at]) continue;
    copy ??= copyHolder(items) as unknown[];
    copy[at] = after;
  }
  return copy ?? items;
}

function replacedMembers(holder: Record<string, unknown>, ids: ReadonlyMap<string, string>): unknown {
  let copy: Record<string, unknown> | null = null;
  for (const name in holder) {
    const before = holder[name];
    const after = replaced(before, name, ids);
    if (after === before) continue;
    copy ??= copyHolder(holder);
    copy[name] = after;
  }
  return copy ?? holder;
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
    if (Array.isArray(value)) {
      for (let at = 0; at < value.length; at += 1) walk(value[at]);
      return;
    }
    // Every resource of a Bundle is walked more than once: no list of its values is made, and each name is met where it stands.
    for (const name in value) {
      const one = (value as Record<string, unknown>)[name];
      if (typeof one === 'object') walk(one);
      else if (name === 'reference' && typeof one === 'string' && wanted(one)) found.add(one);
    }
  };
  walk(resource);
  return found;
}
