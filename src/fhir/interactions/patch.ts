import type { Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import type { FhirRequest } from '../fhir-request.ts';
import type { KnownProfiles } from '../profiles/known-profiles.ts';
import { parseJson } from '../resource-json.ts';
import type { ResourceWrite } from '../resource-store.ts';
import type { StoredResource } from '../stored-resource.ts';
import { validateWrite } from '../validate/validate-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { ifMatch } from './if-match.ts';
import { type FhirServer, type Interaction, typeAndIdOf } from './interaction.ts';
import { lockWords } from './lock-words.ts';
import { type Patch, patchOf } from './patch-body.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#patch: `PATCH [base]/[type]/[id]` with a JSON Patch or a FHIRPath Patch. The result is validated like any resource. 404 and 410 when there is
 * nothing to patch, 412 for another version than `If-Match` names, 422 when the patch or its result does not fit.
 */
export const patch: Interaction = async (request, server) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'update');
  const change = patchOf(request);
  const stored = await writeOnce(server, async (tx) => {
    const write = await patchedWrite({ type, id, change, request }, tx, server);
    const [stored] = await server.store.write(tx, [write], request.access);
    return stored as StoredResource;
  });
  return answerWrite(stored, 200, request, server.store.base);
};

export interface PatchTarget {
  readonly type: string;
  readonly id: string;
  readonly change: Patch;
  readonly request: FhirRequest;
  /** The value sets of the transaction that the patch is a part of. */
  readonly brought?: KnownProfiles | null;
}

/** The write that a patch comes to. Others who patch the same resource wait until the transaction ends, so that both changes are made. */
export async function patchedWrite(
  { type, id, change, request, brought = null }: PatchTarget,
  tx: Transaction,
  { store }: FhirServer,
): Promise<ResourceWrite> {
  await lockWords(tx, `patch ${type}/${id}`);
  const current = await store.read(type, id, tx, forUpdate(request.access));
  if (!current) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  if (current.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
  const ifVersion = ifMatch(request);
  if (ifVersion !== undefined && ifVersion !== '*' && ifVersion !== current.versionId)
    throw new Failure(
      'fhir.version-conflict',
      'The resource has another version now; read it and try again.',
    );
  // Parsed anew: what is stored is shared, and a patch that fails half way leaves a torn resource.
  const resource = parseJson(current.json) as Resource & { id: string };
  change(resource);
  await validateWrite(resource, tx, brought);
  return { kind: 'update', resource, ifVersion: current.versionId };
}

/** SMART App Launch 2.2: a patch is an update; what is read for it is not shown by it beyond that. */
const forUpdate = (access: AccessContext): AccessContext => ({
  ...access,
  allows: (type) => access.allows(type, 'update'),
  condition: (type, _interaction, alias, parameters) => access.condition(type, 'update', alias, parameters),
});
