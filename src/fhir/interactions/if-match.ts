import type { FhirRequest } from '../fhir-request.ts';

/** R4 http.html#concurrency: the version in `If-Match: W/"3"`. A tag of another form matches no version. */
export function ifMatch(request: Pick<FhirRequest, 'headers'>): string | undefined {
  const tag = request.headers['if-match'];
  if (tag === undefined || tag.trim() === '*') return undefined;
  return /^(?:W\/)?"(\d{1,9})"$/.exec(tag.trim())?.[1] ?? 'none';
}
