import type { Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { OperationRequest } from '../operation-registry.ts';

/**
 * Simple parameters of an operation by name, from the query and from the `value[x]` of a Parameters body (R4 operations.html#request). Throws
 * `fhir.invalid` for a body that is no Parameters. Names that the operation does not have were refused before (`interactions/known-parameters.ts`).
 */
export function readParameters({
  query,
  body,
}: Pick<OperationRequest, 'query' | 'body'>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (name: string, value: string): void => {
    found.set(name, [...(found.get(name) ?? []), value]);
  };
  for (const [name, value] of query) add(name, value);
  for (const parameter of parametersOf(body)) add(parameter.name, simpleValue(parameter));
  return found;
}

export function parametersOf(body: OperationRequest['body']): ParametersParameter[] {
  if (body === null) return [];
  const { resourceType, parameter = [] } = body as Parameters;
  const isList = Array.isArray(parameter) && parameter.every((one) => typeof one?.name === 'string');
  if (resourceType !== 'Parameters' || !isList)
    throw new Failure('fhir.invalid', 'The body of this operation must be a Parameters resource.');
  return parameter;
}

function simpleValue(parameter: ParametersParameter): string {
  const value = Object.entries(parameter).find(([key]) => key.startsWith('value'))?.[1] as unknown;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  throw new Failure('fhir.invalid', 'A parameter of this operation needs a simple value.', {
    issues: [{ text: 'must have a simple value[x]', at: 'Parameters.parameter', type: 'invalid' }],
  });
}
