import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import { answerRead } from './answer-resource.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';

/** R4 http.html#read: `GET [base]/[type]/[id]`. 404 when it never was, 410 when it is deleted. */
export const read: Interaction = async (request, { store }) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'read');
  const stored = await store.read(type, id, request.sql, request.access);
  if (!stored) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  if (stored.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
  return answerRead(stored, request);
};
