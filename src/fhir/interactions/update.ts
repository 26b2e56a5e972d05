import type { Resource } from '@medplum/fhirtypes';
import { demandAccess } from '../access-context.ts';
import type { FhirRequest } from '../fhir-request.ts';
import type { ResourceWrite } from '../resource-store.ts';
import { validateWrite } from '../validate/validate-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { identifiedResourceOf } from './body-resource.ts';
import { mergeMeta } from './client-meta.ts';
import { ifMatch } from './if-match.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';

/**
 * R4 http.html#update: `PUT [base]/[type]/[id]`. Creates the resource when there is none under the id (http.html#upsert). With `If-Match`
 * another current version answers 412, with `If-None-Match: *` any current version does.
 */
export const update: Interaction = async (request, server) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'update');
  const resource = identifiedResourceOf(request, type, id);
  await validateWrite(resource, server.database);
  const write = updateWrite(resource, request);
  const { stored } = await server.writes.add({ write, access: request.access });
  return answerWrite(stored, stored.versionId === '1' ? 201 : 200, request, server.store.base);
};

/** The write of an update by a client, under its conditions: `If-Match`, or `If-None-Match: *` for "only when there is none". */
export function updateWrite(resource: Resource & { id: string }, request: FhirRequest): ResourceWrite {
  const isNew = request.headers['if-none-match']?.trim() === '*';
  const ifVersion = isNew ? null : ifMatch(request);
  const write = { kind: 'update', resource, mergeMeta } as const;
  return ifVersion === undefined ? write : { ...write, ifVersion };
}
