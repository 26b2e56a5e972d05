import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import { answerRead } from './answer-resource.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';

/** R4 http.html#vread: `GET [base]/[type]/[id]/_history/[vid]`. 410 for the version that is a deletion. */
export const vread: Interaction = async (request, { store }) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'read');
  const version = /^[1-9]\d{0,8}$/.test(request.path[3] ?? '') ? Number(request.path[3]) : 0;
  const stored = await store.readVersion(type, id, version, request.sql, request.access);
  if (!stored) throw new Failure('fhir.not-found', 'There is no such version.');
  if (stored.deleted) throw new Failure('fhir.deleted', 'This version is the deletion.');
  return answerRead(stored, request);
};
