import type { Bundle } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { parseResource } from '../validate/parse-resource.ts';
import { batch } from './batch.ts';
import type { Interaction } from './interaction.ts';
import { transaction } from './transaction.ts';

/** R4 http.html#transaction: `POST [base]` with a Bundle of type `batch` or `transaction`. */
export const bundle: Interaction = async (request, server) => {
  const resource = parseResource(request.body);
  if (resource.resourceType !== 'Bundle')
    throw new Failure('fhir.invalid', 'POST to the base takes a Bundle.');
  const entries = (resource as Bundle).entry ?? [];
  if (!Array.isArray(entries)) throw new Failure('fhir.invalid', 'Bundle.entry must be a list.');
  if (resource.type === 'batch') return batch(entries, request, server);
  if (resource.type === 'transaction') return transaction(entries, request, server);
  throw new Failure('fhir.invalid', 'The Bundle must be of type batch or transaction.');
};
