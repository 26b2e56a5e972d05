import type { OperationOutcomeIssue } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { failureToOutcome } from '../failure-to-outcome.ts';
import { type FhirAnswer, preferLenient } from '../fhir-request.ts';
import type { Operation, OperationAnswer } from '../operation-registry.ts';
import { printJson } from '../resource-json.ts';
import { parseResource } from '../validate/parse-resource.ts';
import { type Interaction, typeAndIdOf, typeOf } from './interaction.ts';
import { withKnownParameters } from './known-parameters.ts';

/** R4 operations.html: `[base]/$name`, `[base]/[type]/$name`, `[base]/[type]/[id]/$name`. The operation decides on access itself. */
export const operation: Interaction = async (request, { operations }) => {
  const { level, type, id, name } = called(
    request.path,
    () => typeOf(request),
    () => typeAndIdOf(request).id,
  );
  const found = operations.find(level, type ?? undefined, name);
  if (name === '$graphql')
    throw new Failure('fhir.not-offered', 'GraphQL is not offered here; search with _include and _elements.');
  if (!found) throw new Failure('fhir.not-found', 'There is no such operation here; see /metadata.');
  if (request.method === 'GET' && !found.get) return BY_POST;
  const body =
    request.resource ?? (request.body && request.body.length > 0 ? parseResource(request.body) : null);
  const { query, headers, access, caller } = request;
  const asked = { id, type, query, body, headers, access, ...(caller ? { caller } : {}) };
  const known = withKnownParameters(found, asked, preferLenient(request));
  const answer = warning(await found.run(known.request), known.ignored);
  return {
    status: answer.status,
    body: answer.json ?? (answer.resource ? printJson(answer.resource) : null),
    ...(answer.headers ? { headers: answer.headers } : {}),
  };
};

/** An outcome says it as an issue of its own; any other answer in its header (RFC 7240 3). */
function warning(answer: OperationAnswer, ignored: readonly string[]): OperationAnswer {
  if (ignored.length === 0) return answer;
  const headers = { ...answer.headers, 'preference-applied': 'handling=lenient' };
  if (answer.resource?.resourceType !== 'OperationOutcome') return { ...answer, headers };
  const issue: OperationOutcomeIssue = {
    severity: 'warning',
    code: 'not-supported',
    details: { text: 'The operation has no parameters of these names; they were left out.' },
    expression: [...ignored],
  };
  const resource = { ...answer.resource, issue: [issue, ...(answer.resource.issue ?? [])] };
  return { ...answer, headers, resource };
}

const BY_POST: FhirAnswer = {
  status: 405,
  headers: { allow: 'POST, OPTIONS' },
  body: JSON.stringify(
    failureToOutcome(new Failure('fhir.unsupported', 'This operation is called by POST.')).outcome,
  ),
};

interface Called {
  readonly level: Operation['level'];
  readonly type: string | null;
  readonly id: string | null;
  readonly name: string;
}

function called(path: readonly string[], type: () => string, id: () => string): Called {
  const name = path.at(-1) ?? '';
  if (path.length === 1) return { level: 'system', type: null, id: null, name };
  if (path.length === 2) return { level: 'type', type: type(), id: null, name };
  return { level: 'instance', type: type(), id: id(), name };
}
