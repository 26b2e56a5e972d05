import { demandAccess } from '../access-context.ts';
import { deleteWrite } from './delete.ts';
import { ifMatch } from './if-match.ts';
import { type Interaction, typeOf } from './interaction.ts';
import { matchSome, refuseCount } from './match-existing.ts';
import { writeOnce } from './write-once.ts';

/** One request deletes no more than somebody could have meant; above it nothing is deleted and the answer is 412. */
export const CONDITIONAL_DELETE_MAX = 100;

/** R4 http.html#3.1.0.7.1: `DELETE [base]/[type]?criteria`. All that match go together, or none. 204, also when nothing matches. */
export const conditionalDelete: Interaction = async (request, server) => {
  const type = typeOf(request);
  demandAccess(request.access, type, 'delete');
  const { access, query } = request;
  const { store } = server;
  refuseCount(String(query));
  await writeOnce(server, async (tx) => {
    const asked = { type, criteria: String(query), access, most: CONDITIONAL_DELETE_MAX };
    const matches = await matchSome(store, tx, asked);
    const writes = matches.map(({ id }) => deleteWrite(type, id, ifMatch(request)));
    if (writes.length > 0) await store.write(tx, writes, access);
  });
  return { status: 204, body: null };
};
