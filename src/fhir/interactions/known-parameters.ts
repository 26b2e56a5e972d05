import type { Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { Operation, OperationRequest } from '../operation-registry.ts';

export interface Known {
  readonly request: OperationRequest;
  /** Left out since the caller said so: what they are called, or where they stand. */
  readonly ignored: readonly string[];
}

/**
 * R4 operations.html#request and http.html#prefer, "handling": a parameter that the operation does not have changes nothing, which is not what its sender
 * believes. It is refused; with `lenient` it is left out, and the answer says so. Throws `fhir.unsupported`.
 */
export function withKnownParameters(
  operation: Operation,
  request: OperationRequest,
  lenient: boolean,
): Known {
  const isKnown = (name: unknown): boolean =>
    typeof name === 'string' && (operation.parameters.includes(name) || OF_EVERY_REQUEST.has(name));
  const sent = parametersIn(request);
  const inUrl = [...request.query.keys()].filter((name) => !isKnown(name)).map(placeInUrl);
  const inBody = sent.flatMap((one, at) => (isKnown(one?.name) ? [] : `Parameters.parameter[${at}]`));
  const ignored = [...inUrl, ...inBody];
  if (ignored.length === 0) return { request, ignored };
  if (!lenient) throw unknown(operation, ignored);
  const query = new URLSearchParams([...request.query].filter(([name]) => isKnown(name)));
  const parameter = sent.filter((one) => isKnown(one?.name));
  const body = inBody.length > 0 ? ({ ...request.body, parameter } as Parameters) : request.body;
  return { request: { ...request, query, body }, ignored };
}

/** They say how the answer is written. */
const OF_EVERY_REQUEST: ReadonlySet<string> = new Set(['_format', '_pretty']);

/** Of a Parameters that is itself what is asked about (`Parameters/$validate`) nothing is known here. */
function parametersIn({ body, type }: OperationRequest): ParametersParameter[] {
  if (body?.resourceType !== 'Parameters' || type === 'Parameters') return [];
  const { parameter } = body as { parameter?: unknown };
  return Array.isArray(parameter) ? parameter : [];
}

/** A name that is not spelled as names are may be a value in the wrong place. */
const placeInUrl = (name: string): string => (/^[A-Za-z_][\w-]{0,40}$/.test(name) ? `http.${name}` : 'http');

function unknown({ name, parameters }: Operation, places: readonly string[]): Failure {
  const takes = parameters.length === 0 ? 'no parameters' : `the parameters ${parameters.join(', ')}`;
  const text = `${name} takes ${takes}; leave out what it does not have.`;
  return new Failure('fhir.unsupported', text, { issues: places.map((at) => ({ text, at })) });
}
