import type { Binary } from '@medplum/fhirtypes';
import { noteShown } from '../../kernel/acting.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { asksForFhirJson } from '../media-types.ts';
import type { StoredResource } from '../stored-resource.ts';

/**
 * R4 binary.html#rest: a Binary that is read without asking for a FHIR format by name is given as what it holds, under the content type it
 * states; so also for an Accept of any type, as browsers and image viewers send it. Only FHIR JSON asked for by name (Accept or `_format`) gives the resource.
 */
export const wantsContent = (stored: StoredResource, request: FhirRequest): boolean =>
  stored.type === 'Binary' && request.sentAlone === true && !asksForFhirJson(request);

/**
 * The bytes. Whoever may write a Binary chooses its type and its bytes, and they come from the origin that the worklist is on: nothing is
 * guessed from them (nosniff), nothing in them runs (sandbox), and what is not a plain picture, PDF or text is offered for saving only.
 */
export function answerContent(stored: StoredResource, headers: Readonly<Record<string, string>>): FhirAnswer {
  const { contentType, data, securityContext } = stored.parse<Binary>();
  if (securityContext) noteShown(JSON.stringify({ securityContext }));
  const type = MEDIA_TYPE.test(contentType ?? '') ? String(contentType) : 'application/octet-stream';
  const isInline = INLINE.has(type.split(';')[0]?.trim().toLowerCase() ?? '');
  return {
    status: 200,
    headers: {
      ...headers,
      'content-type': type,
      'content-disposition': isInline ? 'inline' : 'attachment',
      ...PROTECTION,
      vary: 'Accept',
    },
    body: Buffer.from(data ?? '', 'base64'),
  };
}

const INLINE: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'application/pdf', 'text/plain']);

const PROTECTION = { 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' };

/** RFC 9110 8.3.1, without quoted strings: a code in FHIR may hold more than a header can. */
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?:; ?[\w-]{1,64}=[\w.+-]{1,64}){0,4}$/;
