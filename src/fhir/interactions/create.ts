import type { Resource } from '@medplum/fhirtypes';
import { demandAccess } from '../access-context.ts';
import { atParameter } from '../at-parameter.ts';
import type { FhirRequest } from '../fhir-request.ts';
import { copyWith } from '../resource-json.ts';
import type { StoredResource } from '../stored-resource.ts';
import { validateWrite } from '../validate/validate-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { resourceOf } from './body-resource.ts';
import { withClientMeta } from './client-meta.ts';
import type { Written } from './grouped-writes.ts';
import { type FhirServer, type Interaction, typeOf } from './interaction.ts';
import { identifierCriteria, matchOne } from './match-existing.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#create: `POST [base]/[type]`. The server makes the id, whatever the body has. With `If-None-Exist` (http.html#ccreate)
 * a match answers 200 and nothing is written.
 */
export const create: Interaction = async (request, server) => {
  const type = typeOf(request);
  demandAccess(request.access, type, 'create');
  const resource = withClientMeta(withoutId(resourceOf(request, type)));
  await validateWrite(resource, server.database);
  const { stored, created } = await createUnless(resource, request, server);
  return answerWrite(stored, created ? 201 : 200, request, server.store.base);
};

function createUnless(resource: Resource, request: FhirRequest, server: FhirServer): Promise<Written> {
  const { access, headers } = request;
  const write = { kind: 'create', resource } as const;
  const criteria = headers['if-none-exist'];
  if (criteria === undefined) return server.writes.add({ write, access });
  const unless = atHeader(() => identifierCriteria(resource.resourceType, criteria, access));
  if (unless) return server.writes.add({ write, access, unless });
  const { store } = server;
  return writeOnce(server, async (tx) => {
    const match = await matchOne(store, tx, resource.resourceType, criteria, access);
    if (match) return { stored: match, created: false };
    const [stored] = await store.write(tx, [write], access);
    return { stored: stored as StoredResource, created: true };
  });
}

/** What is wrong with the criteria as such stands in the header; a parameter in them says itself which. */
function atHeader<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw atParameter(error, 'If-None-Exist');
  }
}

function withoutId(resource: Resource): Resource {
  const copy = copyWith(resource, {});
  delete copy.id;
  return copy;
}
