import type { Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition, demandAccess } from '../access-context.ts';
import type { FhirRequest } from '../fhir-request.ts';
import { copyWith } from '../resource-json.ts';
import { newResourceId, type ResourceStore, type ResourceWrite } from '../resource-store.ts';
import { SqlParameters } from '../sql-parameters.ts';
import type { StoredResource } from '../stored-resource.ts';
import { validateWrite } from '../validate/validate-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { resourceOf } from './body-resource.ts';
import { withClientMeta } from './client-meta.ts';
import { type Interaction, typeOf } from './interaction.ts';
import { matchOne } from './match-existing.ts';
import { updateWrite } from './update.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#cond-update: `PUT [base]/[type]?criteria`. No match: the resource is created, under the id in the body when there is one. One match: it
 * is updated; an id in the body must be its id (400). Several: 412.
 */
export const conditionalUpdate: Interaction = async (request, server) => {
  const type = typeOf(request);
  demandAccess(request.access, type, 'update');
  const resource = resourceOf(request, type);
  await validateWrite(resource, server.database);
  const { store } = server;
  const stored = await writeOnce(server, async (tx) => {
    const write = await conditionalWrite(resource, request, tx, store);
    const [stored] = await store.write(tx, [write], request.access);
    return stored as StoredResource;
  });
  return answerWrite(stored, stored.versionId === '1' ? 201 : 200, request, store.base);
};

/** The write it comes to; also for an entry of a transaction. */
export async function conditionalWrite(
  resource: Resource,
  request: FhirRequest,
  tx: Transaction,
  store: ResourceStore,
): Promise<ResourceWrite> {
  const type = resource.resourceType;
  const match = await matchOne(store, tx, type, String(request.query), request.access);
  if (!match) {
    demandAccess(request.access, type, 'create');
    demandOwnId(request.access, resource);
    const id = resource.id ?? newResourceId();
    return { kind: 'create', resource: withClientMeta(copyWith(resource, { id })) };
  }
  if (resource.id !== undefined && resource.id !== match.id) {
    throw new Failure('fhir.invalid', 'The criteria match a resource with another id than the body has.', {
      issues: [{ text: 'leave the id out, or send the id of the match', at: `${type}.id`, type: 'value' }],
    });
  }
  return updateWrite(copyWith(resource, { id: match.id }) as Resource & { id: string }, request);
}

/** An id that is taken by what the caller may not see would show itself by the refusal. */
function demandOwnId(access: AccessContext, { resourceType, id }: Resource): void {
  if (id === undefined || accessCondition(access, resourceType, 'update', 'r', new SqlParameters()) === null)
    return;
  throw new Failure('auth.scope', 'This token may not choose the id of a new resource; leave the id out.');
}
