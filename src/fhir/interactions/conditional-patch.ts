import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import type { StoredResource } from '../stored-resource.ts';
import { answerWrite } from './answer-resource.ts';
import { type Interaction, typeOf } from './interaction.ts';
import { matchOne } from './match-existing.ts';
import { patchedWrite } from './patch.ts';
import { patchOf } from './patch-body.ts';
import { writeOnce } from './write-once.ts';

/** R4 http.html#patch: `PATCH [base]/[type]?criteria`. Exactly one match is patched; none answers 404, several 412. */
export const conditionalPatch: Interaction = async (request, server) => {
  const type = typeOf(request);
  demandAccess(request.access, type, 'update');
  const change = patchOf(request);
  const { store } = server;
  const stored = await writeOnce(server, async (tx) => {
    const match = await matchOne(store, tx, type, String(request.query), request.access);
    if (!match) throw new Failure('fhir.not-found', 'Nothing matches the criteria.');
    const write = await patchedWrite({ type, id: match.id, change, request }, tx, server);
    const [stored] = await store.write(tx, [write], request.access);
    return stored as StoredResource;
  });
  return answerWrite(stored, 200, request, store.base);
};
