import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import { historyBundle, historyRequestOf } from './history-page.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';

/** R4 http.html#history: `GET [base]/[type]/[id]/_history`, newest first, deletions among the versions. 404 when there never was such a resource. */
export const historyInstance: Interaction = async (request, { store }) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'read');
  const asked = historyRequestOf(request, [type]);
  const versions = await store.readVersions(
    { ...asked, types: [type], id, count: asked.count + 1 },
    request.sql,
    request.access,
  );
  if (versions.length === 0 && !(await store.read(type, id, request.sql, request.access))) {
    throw new Failure('fhir.not-found', 'There is no resource with this id.');
  }
  const path = `${type}/${id}`;
  return { status: 200, body: historyBundle({ path, asked, versions, request, base: store.base }) };
};
