import type { FailureIssue } from '../../kernel/errors.ts';
import type { JsonObject } from './invariant.ts';

/**
 * R4 bundle.html, in words there and in no invariant: a fullUrl is absolute (bundle.html#bundle-unique); what a search
 * found has an id, and only an OperationOutcome is an outcome (bundle.html#searchset).
 */
export function checkBundle(bundle: JsonObject): (FailureIssue & { type: string })[] {
  const { entry, type } = bundle;
  if (!Array.isArray(entry)) return [];
  return (entry as (JsonObject | null)[]).flatMap((one, at) => {
    if (typeof one !== 'object' || one === null) return [];
    const resource = (one['resource'] ?? null) as JsonObject | null;
    const text = urlFault(one['fullUrl']) ?? (type === 'searchset' ? searchFault(one, resource) : null);
    return text === null ? [] : [{ text, at: `entry[${at}]`, type: 'invalid' }];
  });
}

function urlFault(fullUrl: unknown): string | null {
  const absolute = typeof fullUrl !== 'string' || /^(?:urn:|[a-z][a-z\d+.-]*:\/\/)/i.test(fullUrl);
  return absolute ? null : 'fullUrl must be an absolute URL, or a urn:uuid.';
}

function searchFault({ search }: JsonObject, resource: JsonObject | null): string | null {
  const isOutcome = resource?.['resourceType'] === 'OperationOutcome';
  const mode = (search as JsonObject | undefined)?.['mode'];
  if (mode === 'outcome' && !isOutcome)
    return 'An entry with search.mode outcome must be an OperationOutcome.';
  if (mode === 'match' && isOutcome)
    return 'An OperationOutcome is no match of a search; its mode is outcome.';
  return resource && !isOutcome && resource['id'] === undefined
    ? 'What a search found must have an id.'
    : null;
}
