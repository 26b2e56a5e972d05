import { badParameter } from '../at-parameter.ts';
import type { FhirRequest } from '../fhir-request.ts';

/**
 * R4 http.html#concurrency: the version in `If-Match: W/"3"`; `*`: any, but there must be one (RFC 9110 13.1.1). A tag of another form matches no version; what is
 * no tag (`3`), or several, is refused.
 */
export function ifMatch(request: Pick<FhirRequest, 'headers'>): string | undefined {
  const tag = request.headers['if-match'];
  if (tag === undefined || tag.trim() === '*') return tag?.trim();
  if (!/^(?:W\/)?"[^"]*"$/.test(tag.trim()))
    throw badParameter('If-Match', 'If-Match wants the ETag of one version in quotes, as in W/"3".');
  return /^(?:W\/)?"(\d{1,9})"$/.exec(tag.trim())?.[1] ?? 'none';
}
