import type { Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { FhirRequest } from '../fhir-request.ts';
import { parseResource } from '../validate/parse-resource.ts';
import { checkMetaElements } from './client-meta.ts';

/** The resource of the body, or of the entry: of the type in the URL. Not yet validated. */
export function resourceOf(request: FhirRequest, type: string): Resource {
  const resource = request.resource ?? parseResource(request.body);
  if (resource.resourceType !== type)
    throw new Failure('fhir.invalid', 'The resource is of another type than the URL.', {
      issues: [{ text: 'The resource is of another type than the URL.', at: 'resourceType', type: 'value' }],
    });
  checkMetaElements(resource);
  return resource;
}

/** The same for `[type]/[id]`: it must have this id. */
export function identifiedResourceOf(
  request: FhirRequest,
  type: string,
  id: string,
): Resource & { id: string } {
  const resource = resourceOf(request, type);
  if (resource.id === id) return resource as Resource & { id: string };
  throw new Failure('fhir.invalid', 'The resource must have the id of the URL.', {
    issues: [{ text: 'the id must be the one of the URL', at: `${type}.id`, type: 'value' }],
  });
}
