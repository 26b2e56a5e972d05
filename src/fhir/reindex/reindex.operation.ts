import type { Parameters, ParametersParameter } from '@medplum/fhirtypes';
import type { Database } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Outbox } from '../../queue/outbox.ts';
import { demandAccess } from '../access-context.ts';
import { definitions } from '../definitions/definitions.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../operation-registry.ts';
import { REINDEX_QUEUE } from './reindex.job.ts';
import type { ReindexRun, ReindexRunsStore } from './reindex-runs.store.ts';

/** Runs of `$reindex` that wait or run; a second one over the same types would only do the work again. */
export const REINDEX_RUNS_MAX = 3;
/** Runs that `$reindex-status` shows when none is named. */
export const RUNS_SHOWN = 20;

/** The audit stands in tables of its own, which no index here covers, and nobody has the right to change it. */
const AUDIT = 'AuditEvent';

export interface ReindexOperationParts {
  readonly database: Database;
  readonly runs: ReindexRunsStore;
  readonly outbox: Outbox;
  readonly base: string;
}

/**
 * `[base]/$reindex` and `[base]/[type]/$reindex` work out the search index of stored resources anew, in the background: 202 with the status
 * URL (asynchronous request pattern, R4 async.html). `[base]/$reindex-status` tells how far it is, also for new search parameters.
 */
export function reindexOperations(parts: ReindexOperationParts): Operation[] {
  const start = (request: OperationRequest): Promise<OperationAnswer> => startRun(request, parts);
  return [
    { name: '$reindex', level: 'system', parameters: [], run: start },
    ...definitions().resourceTypes.map(
      (type): Operation => ({ name: '$reindex', level: 'type', type, parameters: [], run: start }),
    ),
    {
      name: '$reindex-status',
      level: 'system',
      parameters: ['run'],
      get: true,
      run: (request) => status(request, parts),
    },
  ];
}

async function startRun(
  { type, access }: OperationRequest,
  { database, runs, outbox, base }: ReindexOperationParts,
): Promise<OperationAnswer> {
  const types = type === null ? definitions().resourceTypes.filter((one) => one !== AUDIT) : [type];
  for (const one of types) demandAccess(access, one, 'update');
  const run = await database.transaction(async (tx) => {
    if ((await runs.open(tx)) >= REINDEX_RUNS_MAX)
      throw new Failure('fhir.conflict', `${REINDEX_RUNS_MAX} runs wait already; see $reindex-status.`);
    const id = await runs.start(tx, types, null);
    await outbox.add(tx, [{ queue: REINDEX_QUEUE, payload: { run: id }, priority: 900 }]);
    return id;
  });
  return {
    status: 202,
    headers: { 'content-location': `${base}/$reindex-status?run=${run}` },
    resource: {
      resourceType: 'OperationOutcome',
      issue: [
        {
          severity: 'information',
          code: 'informational',
          details: {
            text: 'The index is worked out anew in the background; Content-Location tells how far it is.',
          },
        },
      ],
    },
  };
}

async function status(
  { query, access }: OperationRequest,
  { database, runs }: ReindexOperationParts,
): Promise<OperationAnswer> {
  demandAccess(access, 'SearchParameter', 'read');
  const asked = query.get('run');
  if (asked === null) {
    const latest = await runs.latest(database, RUNS_SHOWN);
    return { status: 200, resource: parameters(latest.map((run) => ({ name: 'run', part: partsOf(run) }))) };
  }
  const run = /^\d{1,18}$/.test(asked) ? await runs.read(database, asked) : null;
  if (!run)
    throw new Failure('fhir.not-found', 'There is no such run; $reindex-status alone lists the latest.');
  const atWork = run.state === 'waiting' || run.state === 'running';
  return {
    status: atWork ? 202 : 200,
    resource: parameters(partsOf(run)),
    ...(atWork
      ? { headers: { 'x-progress': `${run.done} of ${run.total ?? '?'}`, 'retry-after': '5' } }
      : {}),
  };
}

const parameters = (parameter: ParametersParameter[]): Parameters => ({
  resourceType: 'Parameters',
  ...(parameter.length > 0 ? { parameter } : {}),
});

function partsOf(run: ReindexRun): ParametersParameter[] {
  return [
    { name: 'id', valueString: run.id },
    { name: 'state', valueCode: run.state },
    { name: 'done', valueDecimal: Number(run.done) },
    ...(run.total === null ? [] : [{ name: 'total', valueDecimal: Number(run.total) }]),
    ...(run.parameter === null
      ? []
      : [{ name: 'parameter', valueReference: { reference: `SearchParameter/${run.parameter}` } }]),
    ...(run.types.length > 5 ? [] : run.types.map((type) => ({ name: 'type', valueCode: type }))),
    { name: 'created', valueInstant: run.created_at.toISOString() },
    ...(run.finished_at ? [{ name: 'finished', valueInstant: run.finished_at.toISOString() }] : []),
  ];
}
