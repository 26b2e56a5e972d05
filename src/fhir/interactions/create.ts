import type { Resource } from '@medplum/fhirtypes';
import { demandAccess } from '../access-context.ts';
import { copyWith } from '../resource-json.ts';
import type { StoredResource } from '../stored-resource.ts';
import { validateResource } from '../validate/validate-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { resourceOf } from './body-resource.ts';
import { withClientMeta } from './client-meta.ts';
import { type Interaction, typeOf } from './interaction.ts';
import { matchOne } from './match-existing.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#create: `POST [base]/[type]`. The server makes the id, whatever the body has. With `If-None-Exist` (http.html#ccreate)
 * a match answers 200 and nothing is written.
 */
export const create: Interaction = async (request, server) => {
  const type = typeOf(request);
  demandAccess(request.access, type, 'create');
  const resource = withClientMeta(withoutId(resourceOf(request, type)));
  validateResource(resource);
  const { store } = server;
  const criteria = request.headers['if-none-exist'];
  const { stored, created } = await writeOnce(server, async (tx) => {
    const match = criteria ? await matchOne(store, tx, type, criteria, request.access) : null;
    if (match) return { stored: match, created: false };
    const [stored] = await store.write(tx, [{ kind: 'create', resource }], request.access);
    return { stored: stored as StoredResource, created: true };
  });
  return answerWrite(stored, created ? 201 : 200, request, store.base);
};

export function withoutId(resource: Resource): Resource {
  const copy = copyWith(resource, {});
  delete copy.id;
  return copy;
}
