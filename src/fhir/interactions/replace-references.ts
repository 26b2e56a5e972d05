import type { Resource } from '@medplum/fhirtypes';
import { parseJson, printJson } from '../resource-json.ts';

/**
 * R4 http.html#trules: replaces references (and urls, and links in narrative) to an entry's `fullUrl` by what it became. An
 * identifier that happens to be the same URL stays.
 */
export function replaceReferences<T extends Resource>(resource: T, ids: ReadonlyMap<string, string>): T {
  if (ids.size === 0) return resource;
  const text = printJson(resource);
  const replaced = text.replace(LINK, (whole, key: string, url: string) => {
    const id = ids.get(url);
    return id === undefined ? whole : `"${key}":${JSON.stringify(id)}`;
  });
  return replaced === text ? resource : (parseJson(replaced) as T);
}

const LINK = /"(reference|url|uri|valueUrl|valueUri|valueCanonical)":"([^"\\]{1,400})"/g;
