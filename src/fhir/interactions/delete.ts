import { demandAccess } from '../access-context.ts';
import type { ResourceWrite } from '../resource-store.ts';
import { versionHeaders } from './answer-resource.ts';
import { ifMatch } from './if-match.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';

/** R4 http.html#delete: `DELETE [base]/[type]/[id]`. 204, also when there is nothing (left) to delete. */
export const deleteResource: Interaction = async (request, server) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'delete');
  const write = deleteWrite(type, id, ifMatch(request));
  const { stored } = await server.writes.add({ write, access: request.access });
  // Nothing was ever there: no version, no tag.
  if (stored.versionId === '0') return { status: 204, body: null };
  return { status: 204, headers: versionHeaders(stored), body: null };
};

export const deleteWrite = (type: string, id: string, ifVersion: string | undefined): ResourceWrite =>
  ifVersion === undefined ? { kind: 'delete', type, id } : { kind: 'delete', type, id, ifVersion };
