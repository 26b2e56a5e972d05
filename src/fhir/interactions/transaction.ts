import type { BundleEntry, Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { Failure, type FailureIssue } from '../../kernel/errors.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { copyWith } from '../resource-json.ts';
import { newResourceId, type ResourceWrite } from '../resource-store.ts';
import type { StoredResource } from '../stored-resource.ts';
import { validateResource } from '../validate/validate-resource.ts';
import { answerWrite, versionHeaders } from './answer-resource.ts';
import { answerBundle, entryRequest } from './bundle-entry.ts';
import { type FhirServer, typeAndIdOf, typeOf } from './interaction.ts';
import { matchExisting } from './match-existing.ts';
import { replaceReferences } from './replace-references.ts';
import { ifMatch } from './update.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#trules: all entries or none. New resources get their ids first, so that `urn:uuid:` references can be replaced everywhere;
 * conditional creates are resolved inside the transaction; all writes are one write; reads come last and see them.
 */
export async function transaction(
  entries: readonly BundleEntry[],
  request: FhirRequest,
  server: FhirServer,
): Promise<FhirAnswer> {
  const steps = entries.map((entry, at) => naming(at, () => stepOf(entry, request)));
  // No lock is held while documents are validated.
  steps.forEach((step, at) => {
    if (step.resource) naming(at, () => validateResource(step.resource as Resource));
  });
  const answers = await writeOnce(server, (tx) => run(steps, tx, server));
  return answerBundle('transaction-response', answers);
}

interface Step {
  readonly request: FhirRequest;
  readonly fullUrl: string | null;
  readonly kind: 'create' | 'update' | 'delete' | 'read';
  readonly type: string;
  readonly id: string;
  readonly resource: Resource | null;
}

function stepOf(entry: BundleEntry, outer: FhirRequest): Step {
  const request = entryRequest(entry, outer);
  const fullUrl = entry.fullUrl ?? null;
  if (request.method === 'GET' || request.method === 'HEAD') {
    return { request, fullUrl, kind: 'read', type: '', id: '', resource: null };
  }
  if (request.method === 'DELETE')
    return { request, fullUrl, kind: 'delete', ...typeAndIdOf(request), resource: null };
  const sent = entry.resource;
  if (request.path.some((segment) => /^[$_]/.test(segment)) || request.query.size > 0) {
    throw new Failure(
      'fhir.unsupported',
      'In a transaction POST and PUT take plain types and ids; use batch for more.',
    );
  }
  const { type, id } =
    request.method === 'PUT' ? typeAndIdOf(request) : { type: typeOf(request), id: newResourceId() };
  if (sent?.resourceType !== type || (request.method === 'PUT' && sent.id !== id)) {
    throw new Failure('fhir.invalid', 'The resource of an entry must have the type and the id of its URL.');
  }
  const kind = request.method === 'PUT' ? 'update' : 'create';
  return { request, fullUrl, kind, type, id, resource: copyWith(sent, { id }) };
}

async function run(steps: readonly Step[], tx: Transaction, server: FhirServer): Promise<FhirAnswer[]> {
  const existing = new Map<Step, StoredResource>();
  for (const step of steps) {
    const criteria = step.kind === 'create' ? step.request.headers['if-none-exist'] : undefined;
    const match = criteria
      ? await matchExisting(server.store, tx, step.type, criteria.replace(/^\?/, ''), step.request.access)
      : null;
    if (match) existing.set(step, match);
  }
  const ids = new Map(
    steps.flatMap((step): [string, string][] => {
      if (!step.fullUrl || !step.resource) return [];
      return [[step.fullUrl, `${step.type}/${existing.get(step)?.id ?? step.id}`]];
    }),
  );
  const writing = steps.filter((step) => step.kind !== 'read' && !existing.has(step));
  const access = steps[0]?.request.access;
  const stored = await server.store.write(
    tx,
    writing.map((step) => writeOf(step, ids)),
    access,
  );
  const written = new Map(writing.map((step, at) => [step, stored[at] as StoredResource]));
  const answers: FhirAnswer[] = [];
  for (const step of steps) {
    const version = existing.get(step) ?? written.get(step);
    if (version) answers.push(writeAnswer(step, version, existing.has(step), server.store.base));
    else answers.push(await server.interact({ ...step.request, sql: tx }));
  }
  return answers;
}

function writeOf(step: Step, ids: ReadonlyMap<string, string>): ResourceWrite {
  const ifVersion = ifMatch(step.request);
  const only = ifVersion === undefined ? {} : { ifVersion };
  if (step.kind === 'delete') return { kind: 'delete', type: step.type, id: step.id, ...only };
  const resource = replaceReferences(step.resource as Resource & { id: string }, ids);
  return step.kind === 'create' ? { kind: 'create', resource } : { kind: 'update', resource, ...only };
}

function writeAnswer(step: Step, stored: StoredResource, matched: boolean, base: string): FhirAnswer {
  if (step.kind === 'delete') return { status: 204, headers: versionHeaders(stored), body: null };
  return answerWrite(stored, matched || stored.versionId !== '1' ? 200 : 201, step.request, base);
}

/** Says which entry a failure is about. */
function naming<T>(at: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const issues: readonly FailureIssue[] =
      error.issues.length > 0 ? error.issues : [{ text: error.message }];
    throw new Failure(error.code, error.message, {
      cause: error,
      issues: issues.map((issue) => ({
        ...issue,
        at: `Bundle.entry[${at}]${issue.at ? `: ${issue.at}` : ''}`,
      })),
    });
  }
}
