import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { historyBundle, historyRequestOf } from './history-page.ts';
import type { Interaction } from './interaction.ts';

/** R4 http.html#history: `GET [base]/_history`, newest first, over every type that the caller may search. */
export const historySystem: Interaction = async (request, { store }) => {
  const types = definitions().resourceTypes.filter((type) => request.access.allows(type, 'search'));
  if (types.length === 0) throw new Failure('auth.scope', 'The token has no scope for search of any type.');
  const asked = historyRequestOf(request, types);
  const versions = await store.readVersions(
    { ...asked, types, count: asked.count + 1 },
    request.sql,
    request.access,
    'search',
  );
  return { status: 200, body: historyBundle({ path: '', asked, versions, request, base: store.base }) };
};
