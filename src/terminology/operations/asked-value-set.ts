import type { ValueSet } from '@medplum/fhirtypes';
import { badParameter } from '../../fhir/at-parameter.ts';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { Failure } from '../../kernel/errors.ts';
import type { TerminologySources } from '../terminology-sources.ts';
import type { OperationParameters } from './operation-parameters.ts';

/** The value set that was called on, came with the request, or is named by its URL. */
export async function askedValueSet(
  parameters: OperationParameters,
  { id, access }: OperationRequest,
  sources: TerminologySources,
): Promise<ValueSet> {
  const inline = parameters.resource<ValueSet>('valueSet', 'ValueSet');
  if (inline) return inline;
  const [url, version] = [parameters.text('url'), parameters.text('valueSetVersion')];
  if (!id && url === undefined) throw badParameter('url', 'Give the url of the value set, or the valueSet.');
  const found = id
    ? await sources.valueSetById(id, access)
    : await sources.valueSet(version ? `${url}|${version}` : (url ?? ''), access);
  if (!found) throw new Failure('terminology.unknown', 'The value set is not here, or not in this version.');
  return found;
}
