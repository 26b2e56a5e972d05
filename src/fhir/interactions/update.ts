import type { Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import type { FhirRequest } from '../fhir-request.ts';
import type { StoredResource } from '../stored-resource.ts';
import { parseResource } from '../validate/parse-resource.ts';
import { validateResource } from '../validate/validate-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#update: `PUT [base]/[type]/[id]`. Creates the resource when there is none under the id (http.html#upsert). With `If-Match`
 * another current version answers 412.
 */
export const update: Interaction = async (request, server) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'update');
  const resource = parseResource(request.body);
  if (resource.resourceType !== type || resource.id !== id) {
    throw new Failure('fhir.invalid', 'The resource must have the type and the id of the URL.');
  }
  validateResource(resource);
  const { store } = server;
  const stored = await writeOnce(server, async (tx) => {
    const ifVersion = ifMatch(request);
    const write = { kind: 'update', resource: resource as Resource & { id: string } } as const;
    const [stored] = await store.write(
      tx,
      [ifVersion === undefined ? write : { ...write, ifVersion }],
      request.access,
    );
    return stored as StoredResource;
  });
  return answerWrite(stored, stored.versionId === '1' ? 201 : 200, request, store.base);
};

/** R4 http.html#concurrency: the version in `If-Match: W/"3"`. A tag of another form matches no version. */
export function ifMatch(request: Pick<FhirRequest, 'headers'>): string | undefined {
  const tag = request.headers['if-match'];
  if (tag === undefined || tag.trim() === '*') return undefined;
  return /^(?:W\/)?"(\d{1,9})"$/.exec(tag.trim())?.[1] ?? 'none';
}
