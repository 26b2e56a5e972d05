import { demandAccess } from '../access-context.ts';
import { historyBundle, historyRequestOf } from './history-page.ts';
import { type Interaction, typeOf } from './interaction.ts';

/** R4 http.html#history: `GET [base]/[type]/_history`, newest first. SMART App Launch 2.2 counts it as a search. */
export const historyType: Interaction = async (request, { store }) => {
  const type = typeOf(request);
  demandAccess(request.access, type, 'search');
  const asked = historyRequestOf(request, [type]);
  const versions = await store.readVersions(
    { ...asked, types: [type], count: asked.count + 1 },
    request.sql,
    request.access,
    'search',
  );
  return { status: 200, body: historyBundle({ path: type, asked, versions, request, base: store.base }) };
};
