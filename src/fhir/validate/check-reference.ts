import type { FailureIssue } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import type { JsonObject } from './invariant.ts';

/**
 * R4 references.html: the form of a literal reference, the types the element allows, and `#id` that must name a contained resource.
 * Absolute URLs to other servers are only checked for their form. `targets`: null allows any type. `root` has the contained resources that
 * `#id` may name; `resource` is the one the reference is in. `conditional`: `Type?criteria` may stand for a reference, as in a Bundle; alone nobody would resolve it (R4
 * http.html#trules).
 */
export function checkReference(
  value: JsonObject,
  targets: ReadonlySet<string> | null,
  root: JsonObject,
  resource: JsonObject,
  conditional: boolean,
): FailureIssue[] {
  const { reference, type: stated } = value;
  if (typeof reference !== 'string') return [];
  if (reference.startsWith('#')) return local(reference.slice(1), targets, root, resource);
  if (/^[a-z][a-z0-9+.-]*:/i.test(reference)) {
    return /^\S+$/.test(reference) ? [] : issue('The reference is not a URL.');
  }
  const match = RELATIVE.exec(reference);
  const type = match?.[1] ?? '';
  if (!conditional && match?.[2] === undefined && isResourceType(type)) return issue(CONDITIONAL_ALONE);
  if (!isResourceType(type)) return issue('A reference is Type/id, with a type that FHIR R4 knows.');
  if (targets?.has(type) === false) return issue('The element does not allow a reference to this type.');
  if (typeof stated === 'string' && stated !== type && isResourceType(stated))
    return [{ text: 'The type of the reference is not the one it points to.', at: 'type', type: 'value' }];
  return [];
}

const RELATIVE = /^([A-Z][A-Za-z]+)(?:\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?|\?\S+)$/;

const CONDITIONAL_ALONE =
  'A conditional reference (Type?criteria) is resolved in a transaction only; send the resource in one, or refer to Type/id.';

const issue = (text: string): FailureIssue[] => [{ text, at: 'reference', type: 'value' }];

let types: { of: readonly string[]; set: ReadonlySet<string> } | null = null;

function isResourceType(name: string): boolean {
  const { resourceTypes } = definitions();
  if (types?.of !== resourceTypes) types = { of: resourceTypes, set: new Set(resourceTypes) };
  return types.set.has(name);
}

/** `#` alone is the container, seen from a contained resource (references.html#contained). */
function local(
  id: string,
  targets: ReadonlySet<string> | null,
  root: JsonObject,
  resource: JsonObject,
): FailureIssue[] {
  if (id === '') return root === resource ? issue('# alone is only for contained resources.') : [];
  const { contained } = root;
  const target = (Array.isArray(contained) ? (contained as JsonObject[]) : []).find(
    (one) => one?.['id'] === id,
  );
  if (!target) return issue('The reference names a contained resource that is not there.');
  return targets?.has(String(target['resourceType'])) === false
    ? issue('The element does not allow a reference to this type.')
    : [];
}
