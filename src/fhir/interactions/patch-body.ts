import type { Binary, Parameters, Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { badParameter } from '../at-parameter.ts';
import type { FhirRequest } from '../fhir-request.ts';
import { parseResource, parseUntyped } from '../validate/parse-resource.ts';
import { applyFhirpathPatch } from './patching/apply-fhirpath-patch.ts';
import { applyJsonPatch } from './patching/apply-json-patch.ts';

/** Changes a resource in place. */
export type Patch = (resource: Resource) => void;

/** What PATCH takes; also for the CapabilityStatement. */
export const PATCH_FORMATS = ['application/json-patch+json', 'application/fhir+json'] as const;

/**
 * The patch of a request (R4 http.html#patch): JSON Patch under its own media type, a FHIRPath Patch as Parameters under that of FHIR JSON. In a Bundle the entry
 * has either Parameters, or a Binary that holds a JSON Patch. Throws `fhir.invalid` and `fhir.media-type`.
 */
export function patchOf(request: FhirRequest): Patch {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (!request.resource && type === PATCH_FORMATS[0]) return jsonPatch(request.body);
  const sent = request.resource ?? (isList(request.body) ? null : parseResource(request.body));
  if (sent === null) throw wrongType();
  if (sent.resourceType === 'Parameters')
    return (resource) => applyFhirpathPatch(resource, sent as Parameters);
  if (request.resource && sent.resourceType === 'Binary') return jsonPatch(bytesOf(sent));
  throw wrongType();
}

/** A JSON Patch that says it is something else. */
const isList = (body: Buffer | undefined): boolean =>
  body !== undefined && /^\s*\[/.test(body.toString('utf8', 0, 64));

const wrongType = (): Failure =>
  badParameter(
    'Content-Type',
    'PATCH takes a JSON Patch as application/json-patch+json, or a FHIRPath Patch as a Parameters resource.',
    'fhir.media-type',
  );

function jsonPatch(body: Buffer | undefined): Patch {
  const patch = parseUntyped(body);
  return (resource) => applyJsonPatch(resource, patch);
}

function bytesOf({ contentType, data }: Binary): Buffer {
  if (contentType !== PATCH_FORMATS[0])
    throw new Failure(
      'fhir.media-type',
      'The Binary of a PATCH entry must have contentType application/json-patch+json.',
    );
  return Buffer.from(data ?? '', 'base64');
}
