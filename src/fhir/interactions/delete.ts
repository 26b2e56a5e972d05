import { demandAccess } from '../access-context.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';
import { ifMatch } from './update.ts';
import { writeOnce } from './write-once.ts';

/** R4 http.html#delete: `DELETE [base]/[type]/[id]`. 204, also when there is nothing (left) to delete. */
export const deleteResource: Interaction = async (request, server) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'delete');
  const ifVersion = ifMatch(request);
  const write = { kind: 'delete', type, id } as const;
  const [stored] = await writeOnce(server, (tx) =>
    server.store.write(tx, [ifVersion === undefined ? write : { ...write, ifVersion }], request.access),
  );
  return { status: 204, headers: { etag: `W/"${stored?.versionId}"` }, body: null };
};
