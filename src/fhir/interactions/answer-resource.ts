import { type FhirAnswer, type FhirRequest, preferLenient, preferReturn } from '../fhir-request.ts';
import { instantText, type StoredResource } from '../stored-resource.ts';
import { answerContent, wantsContent } from './answer-binary.ts';
import { subsetJson, subsetOf } from './subset.ts';

/** R4 http.html#versions: ETag and Last-Modified of the version that is answered; the latter as the instant that it is, which the door writes as HTTP does. */
export function versionHeaders(stored: StoredResource): Record<string, string> {
  return { etag: `W/"${stored.versionId}"`, 'last-modified': instantText(stored.lastUpdated) };
}

/** A read or vread: the stored text as it is, the part of it that `_summary` or `_elements` asks for, or 304 when the client has this version (R4 http.html#cread). */
export function answerRead(stored: StoredResource, request: FhirRequest): FhirAnswer {
  const headers = versionHeaders(stored);
  if (isCurrent(stored, request)) return { status: 304, headers, body: null };
  if (wantsContent(stored, request)) return answerContent(stored, headers);
  const subset = subsetOf(request.query, [stored.type], { lenient: preferLenient(request) });
  return { status: 200, headers, body: subsetJson(stored, subset) };
}

/** If-None-Match decides, of which `*` is any version; If-Modified-Since (to the second) only without it (RFC 9110 13.2.2). */
function isCurrent(stored: StoredResource, { headers }: FhirRequest): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined)
    return tags
      .split(',')
      .some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === `"${stored.versionId}"`);
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return !Number.isNaN(since) && Math.floor(stored.lastUpdated.getTime() / 1_000) * 1_000 <= since;
}

/** A create or update, with the body the client prefers (R4 http.html#ops). */
export function answerWrite(
  stored: StoredResource,
  status: number,
  request: FhirRequest,
  base: string,
): FhirAnswer {
  const headers = {
    ...versionHeaders(stored),
    location: `${base}/${stored.type}/${stored.id}/_history/${stored.versionId}`,
  };
  switch (preferReturn(request)) {
    case 'minimal':
      return { status, headers, body: null };
    case 'OperationOutcome':
      return { status, headers, body: SUCCESS };
    case 'representation':
      return { status, headers, body: stored.json };
  }
}

/** The body for `Prefer: return=OperationOutcome`. */
export const SUCCESS = JSON.stringify({
  resourceType: 'OperationOutcome',
  issue: [{ severity: 'information', code: 'informational', details: { text: 'Done.' } }],
});
