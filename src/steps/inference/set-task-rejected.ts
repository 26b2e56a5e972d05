import type { Sql, Transaction } from '../../database/database.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { type AnalysisTask, rejectedTask } from '../../governance/analysis-task.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';

/** Why the analysis of this Task is not run any more, or null. */
export async function whyNotRun(store: ResourceStore, taskId: string): Promise<string | null> {
  const task = await readTask(store, taskId);
  if (task === null) return 'the task is gone';
  return GIVEN_UP.has(task.status) ? `the task is ${task.status}` : null;
}

/** Refused by what the pixels are. The Task is read again inside the transaction, so that a change made meanwhile is not lost. */
export async function setTaskRejected(
  store: ResourceStore,
  tx: Transaction,
  taskId: string,
  verdict: GateVerdict,
): Promise<void> {
  const task = await readTask(store, taskId, tx);
  if (task === null) return;
  const rejected = rejectedTask(task, [verdict], new Date());
  await store.write(tx, [{ kind: 'update', resource: rejected, unchanged: 'skip' }]);
}

const GIVEN_UP: ReadonlySet<string | undefined> = new Set(['cancelled', 'entered-in-error']);

async function readTask(store: ResourceStore, id: string, sql?: Sql): Promise<AnalysisTask | null> {
  const kept = await store.read('Task', id, sql);
  return kept === null || kept.deleted ? null : kept.parse<AnalysisTask>();
}
