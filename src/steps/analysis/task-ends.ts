import type { Task } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { studyVersionOf } from '../../governance/analysis-task.ts';

/** Workers in other processes end Tasks too; those are seen by looking. */
const LOOK_MS = 500;

export interface AwaitedEnd {
  /** The ended Task; null when the time is up. */
  readonly task: Promise<Task | null>;
  forget(): void;
}

/** Lets a caller wait for the end of an analysis: at once when this process ends it, within half a second when another does. */
@Injectable()
export class TaskEnds implements OnModuleInit {
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(private readonly store: ResourceStore) {}

  onModuleInit(): void {
    this.store.onChange(async (tx, changes) => {
      for (const change of changes) {
        if (change.type === 'Task' && this.waiting.has(change.id)) tx.afterCommit(() => this.wake(change.id));
      }
    });
  }

  /** Waits for the Task to end for this version of the study. */
  of(taskId: string, studyVersion: string, withinMs: number): AwaitedEnd {
    const stop = new AbortController();
    return { task: this.wait(taskId, studyVersion, withinMs, stop.signal), forget: () => stop.abort() };
  }

  private async wait(
    taskId: string,
    studyVersion: string,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<Task | null> {
    const end = performance.now() + withinMs;
    // A failure that is there already is an earlier one, however long it takes until a step takes this request up: asking again tries again.
    let before: string | null = null;
    while (performance.now() < end && !signal.aborted) {
      const kept = await this.store.read('Task', taskId);
      const task = kept && !kept.deleted ? kept.parse<Task>() : null;
      before ??= task?.status === 'failed' ? String(kept?.versionId) : '';
      const isEnded = task && ENDED.has(task.status) && kept?.versionId !== before;
      if (isEnded && studyVersionOf(task) === studyVersion) return task;
      await this.change(taskId, signal);
    }
    return null;
  }

  private change(taskId: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wakers = this.waiting.get(taskId) ?? new Set();
      const finish = () => {
        clearTimeout(timer);
        wakers.delete(finish);
        if (wakers.size === 0) this.waiting.delete(taskId);
        resolve();
      };
      const timer = setTimeout(finish, LOOK_MS);
      signal.addEventListener('abort', finish, { once: true });
      this.waiting.set(taskId, wakers.add(finish));
    });
  }

  private wake(taskId: string): void {
    for (const finish of [...(this.waiting.get(taskId) ?? [])]) finish();
  }
}

const ENDED: ReadonlySet<string> = new Set([
  'completed',
  'rejected',
  'failed',
  'cancelled',
  'entered-in-error',
]);
