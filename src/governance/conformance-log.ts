import type { Task } from '@medplum/fhirtypes';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import type { Transaction } from '../database/database.ts';
import { type ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import { ANALYSIS_CODE, scannerOfTask } from './analysis-task.ts';
import { ConformanceStore, type GateOutcome } from './conformance.store.ts';
import { OTHER_SCANNER } from './conformance-scanner.ts';
import { GATE_RULES, type GateRuleName } from './gate-rules.ts';

/** How an analysis ended at the gate, for metrics: words of closed lists only. */
export interface GateEnd {
  readonly outcome: GateOutcome;
  readonly rules: readonly GateRuleName[];
}

const DAY_MS = 24 * 3_600_000;

/**
 * Counts how analyses end, whatever step ends them: it hears of Tasks that become `rejected` or `completed` and keeps a row in the same
 * transaction. One row per analysis: done again, it is replaced.
 */
@Injectable()
export class ConformanceLog implements OnModuleInit {
  private readonly watchers: ((end: GateEnd) => void)[] = [];
  private prunedAt = 0;

  constructor(
    private readonly store: ResourceStore,
    private readonly rows: ConformanceStore,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'GATE_KEPT_DAYS'>,
  ) {}

  onModuleInit(): void {
    this.store.onChange(async (tx, changes) => {
      for (const change of changes) {
        const task = change.resource;
        if (task?.resourceType === 'Task' && hasEnded(task, change)) await this.keep(tx, task);
      }
    });
  }

  /** From now on hears of every end that this process commits. */
  watch(watcher: (end: GateEnd) => void): void {
    this.watchers.push(watcher);
  }

  private async keep(tx: Transaction, task: Task): Promise<void> {
    const end = gateEndOf(task);
    const at = new Date(task.lastModified ?? Date.now());
    const model = task.input?.find((one) => one.type.text === 'model')?.valueString ?? '';
    const scanner = scannerOfTask(task) ?? OTHER_SCANNER;
    await this.rows.putAnalysis(tx, { taskId: String(task.id), at, scanner, model, ...end });
    tx.afterCommit(() => {
      for (const watcher of this.watchers) watcher(end);
      this.prune(at.getTime());
    });
  }

  /** Once a day; a failure is met again the next day. */
  private prune(now: number): void {
    if (now - this.prunedAt < DAY_MS) return;
    this.prunedAt = now;
    this.rows.prune(new Date(now - this.settings.GATE_KEPT_DAYS * DAY_MS)).catch(() => undefined);
  }
}

function hasEnded(task: Task, { previous }: ResourceChange): boolean {
  if (task.status !== 'rejected' && task.status !== 'completed') return false;
  if (
    !task.code?.coding?.some(
      ({ system, code }) => system === ANALYSIS_CODE.system && code === ANALYSIS_CODE.code,
    )
  )
    return false;
  return !(previous?.resourceType === 'Task' && previous.status === task.status);
}

/** Out of the Task itself: the lines of its reason, or its notes, each begins with the name of a rule. */
function gateEndOf(task: Task): GateEnd {
  const lines =
    task.status === 'rejected'
      ? (task.statusReason?.text ?? '').split('\n')
      : (task.note ?? []).map(({ text }) => text ?? '');
  const rules = [...new Set(lines.flatMap((line) => ruleOf(line) ?? []))];
  if (task.status === 'rejected') return { outcome: 'refused', rules };
  return { outcome: rules.length > 0 ? 'warned' : 'passed', rules };
}

const ruleOf = (line: string): GateRuleName | undefined =>
  GATE_RULES.find((rule) => line.startsWith(`${rule}: `));
