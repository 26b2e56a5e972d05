import type { FailureIssue } from '../../kernel/errors.ts';
import type { JsonObject } from './invariant.ts';

/**
 * R4 references.html#contained, invariants dom-2 to dom-5: a contained resource has an id of its own, contains nothing itself, has no version and no
 * security labels, and something refers to it (or it refers to its container). `inside`: the resource is itself contained.
 */
export function checkContained(resource: JsonObject, inside: boolean): (FailureIssue & { type: string })[] {
  const { contained } = resource;
  if (!Array.isArray(contained) || contained.length === 0) return [];
  if (inside)
    return [
      { text: 'dom-2: a contained resource must not contain others.', at: 'contained', type: 'invariant' },
    ];
  const referred = new Set<string>();
  collect(resource, referred, 0);
  const ids = new Set<string>();
  return contained.flatMap((one: JsonObject | null, at) => {
    if (typeof one !== 'object' || one === null) return [];
    const issue = (text: string, type = 'invariant') => ({ text, at: `contained[${at}]`, type });
    const { id } = one;
    if (typeof id !== 'string') return issue('A contained resource needs an id.', 'required');
    if (ids.has(id)) return issue('Two contained resources have the same id.', 'duplicate');
    ids.add(id);
    const meta = (one['meta'] ?? {}) as JsonObject;
    if (meta['versionId'] !== undefined || meta['lastUpdated'] !== undefined)
      return issue('dom-4: a contained resource must not have meta.versionId or meta.lastUpdated.');
    if (meta['security'] !== undefined)
      return issue('dom-5: a contained resource must not have security labels.');
    const own = new Set<string>();
    collect(one, own, 0);
    return referred.has(`#${id}`) || own.has('#')
      ? []
      : issue('dom-3: nothing refers to this contained resource; remove it.');
  });
}

/** Deeper than a document that passes the walk can be. */
const DEPTH_MAX = 130;

/** Every text that starts with `#`: references, and the canonicals and urls that may name a contained resource too. */
function collect(value: unknown, into: Set<string>, depth: number): void {
  if (typeof value === 'string') {
    if (value.startsWith('#')) into.add(value);
    return;
  }
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return;
  for (const item of Array.isArray(value) ? value : Object.values(value)) collect(item, into, depth + 1);
}
