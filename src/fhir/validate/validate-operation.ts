import type { OperationOutcome, OperationOutcomeIssue, Parameters, Resource } from '@medplum/fhirtypes';
import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../operation-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import { AskedCodes, knownCodes } from './bound-codes.ts';
import { ISSUES_MAX } from './check-elements.ts';
import { mayBeDeleted } from './keep-integrity.ts';
import { findIssuesAsking } from './validate-resource.ts';
import type { ValidationIssue } from './validation-issue.ts';

export interface ValidateOptions {
  /** Are references checked on writes, so that `mode=delete` can be refused? */
  readonly integrity: boolean;
}

/**
 * R4 resource-operation-validate.html, on a type and on an instance: `POST [type]/$validate` with a resource, or with Parameters (`resource`, `mode`,
 * `profile`); without a resource an instance's stored version is validated. Answers 200 with an OperationOutcome whatever it finds: that the
 * validation could be done is not what it found. Nothing is stored.
 */
export function validateOperations(
  type: string,
  store: ResourceStore,
  sql: Sql,
  options: ValidateOptions,
): Operation[] {
  const run = (request: OperationRequest) => validate(type, request, store, sql, options);
  const definition = 'http://hl7.org/fhir/OperationDefinition/Resource-validate';
  const parameters = ['resource', 'mode', 'profile'];
  return [
    { name: '$validate', level: 'type', type, parameters, definition, run },
    { name: '$validate', level: 'instance', type, parameters, get: true, definition, run },
  ];
}

const MODES = ['create', 'update', 'delete', 'profile'] as const;
type Mode = (typeof MODES)[number];

interface Asked {
  readonly resource: Resource | null;
  readonly mode: Mode | null;
  readonly profiles: readonly string[];
}

async function validate(
  type: string,
  request: OperationRequest,
  store: ResourceStore,
  sql: Sql,
  options: ValidateOptions,
): Promise<OperationAnswer> {
  const asked = readAsked(type, request);
  demandAccess(request.access, type, 'read');
  const { mode, profiles } = asked;
  if (mode === 'delete') return answer(await deleteIssues(type, request, store, sql, options));
  const stored = request.id === null ? null : await store.read(type, request.id, undefined, request.access);
  if (asked.resource === null) {
    if (request.id === null)
      throw new Failure(
        'fhir.invalid',
        'Send the resource to validate, plain or as the parameter "resource".',
      );
    if (!stored) throw new Failure('fhir.not-found', 'There is no resource with this id.');
    if (stored.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
    return answer(await contentIssues(stored.parse(), profiles, sql));
  }
  const { resource } = asked;
  if (resource.resourceType !== type)
    return answer([error('invalid', 'The resource is of another type than the URL.', 'resourceType')]);
  return answer([
    ...modeIssues(mode, resource, request, stored?.deleted === false),
    ...(await contentIssues(resource, profiles, sql)),
  ]);
}

/** Extensible bindings too. */
const contentIssues = (resource: Resource, profiles: readonly string[], sql: Sql) =>
  findIssuesAsking(resource, profiles, new AskedCodes(knownCodes, true), sql);

function readAsked(type: string, { body, query }: OperationRequest): Asked {
  const wrapped =
    body?.resourceType === 'Parameters' && (type !== 'Parameters' || named(body, 'resource') !== undefined);
  const parameters = wrapped ? (body as Parameters) : null;
  const text = (name: string): string[] => {
    const sent = (Array.isArray(parameters?.parameter) ? parameters.parameter : [])
      .filter((one) => one?.name === name)
      .map((one) => one.valueUri ?? one.valueCode ?? one.valueString ?? one.valueCanonical);
    return [...query.getAll(name), ...sent].filter((one): one is string => typeof one === 'string');
  };
  const [mode] = text('mode');
  if (mode !== undefined && !MODES.includes(mode as Mode))
    throw new Failure('fhir.invalid', `The parameter mode is one of ${MODES.join(', ')}.`);
  const profiles = text('profile');
  if (mode === 'profile' && profiles.length === 0)
    throw new Failure(
      'fhir.invalid',
      'With mode=profile the parameter profile names what to validate against.',
    );
  const resource = parameters ? (named(parameters, 'resource') ?? null) : body;
  return { resource, mode: (mode as Mode | undefined) ?? null, profiles };
}

function named(body: Resource, name: string): Resource | undefined {
  const { parameter } = body as Parameters;
  const found = Array.isArray(parameter) ? parameter.find((one) => one?.name === name)?.resource : undefined;
  return typeof found === 'object' && found !== null ? found : undefined;
}

/** What the interaction would say before it looks at the content. */
function modeIssues(
  mode: Mode | null,
  resource: Resource,
  { access, id }: OperationRequest,
  isThere: boolean,
): ValidationIssue[] {
  const { resourceType: type } = resource;
  if (mode === 'create')
    return access.allows(type, 'create')
      ? []
      : [error('forbidden', 'The token has no scope to create this type.', type)];
  if (mode !== 'update') return [];
  if (!access.allows(type, 'update'))
    return [error('forbidden', 'The token has no scope to update this type.', type)];
  if (resource.id === undefined || (id !== null && resource.id !== id))
    return [error('invalid', 'An update needs the id of the URL in the resource.', `${type}.id`)];
  if (id === null || isThere) return [];
  return [
    {
      severity: 'information',
      type: 'informational',
      text: 'There is no such resource yet; the update would create it.',
      at: type,
    },
  ];
}

async function deleteIssues(
  type: string,
  { access, id }: OperationRequest,
  store: ResourceStore,
  sql: Sql,
  { integrity }: ValidateOptions,
): Promise<ValidationIssue[]> {
  if (!access.allows(type, 'delete'))
    return [error('forbidden', 'The token has no scope to delete this type.', type)];
  if (id === null)
    throw new Failure(
      'fhir.invalid',
      'With mode=delete the operation is called on the resource: [type]/[id]/$validate.',
    );
  const stored = await store.read(type, id, undefined, access);
  if (!stored || stored.deleted) return [error('not-found', 'There is no resource with this id.', type)];
  return !integrity || (await mayBeDeleted(sql, { type, id }))
    ? []
    : [error('conflict', 'Other resources refer to this one; delete or change them first.', type)];
}

const error = (type: string, text: string, at: string): ValidationIssue => ({
  severity: 'error',
  type,
  text,
  at,
});

function answer(issues: readonly ValidationIssue[]): OperationAnswer {
  const shown: readonly ValidationIssue[] =
    issues.length > 0
      ? issues.slice(0, ISSUES_MAX)
      : [{ severity: 'information', type: 'informational', text: 'No faults were found.' }];
  const outcome: OperationOutcome = {
    resourceType: 'OperationOutcome',
    issue: shown.map(({ severity, type, text, at }) => ({
      severity,
      code: (type ?? 'invalid') as OperationOutcomeIssue['code'],
      details: { text },
      ...(at ? { expression: [at] } : {}),
    })),
  };
  return { status: 200, resource: outcome };
}
