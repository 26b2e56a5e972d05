import { Inject, Injectable } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { STUDY_SOURCE, type StudySource } from '../../dicom/study-source.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { type AnalysisTask, passedTask, rejectedTask, verdictText } from '../../governance/analysis-task.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import type { AnalysisAccepted, GatePassed, GateVerdict } from '../../kernel/handoffs.ts';
import { done, refused, type Step, type StepResult, skipped } from '../step.ts';
import { chooseSeries } from './choose-series.ts';

/**
 * The gate: does this study fit this model? Looks at the headers of all instances; the rule about the pixels themselves is
 * judged in `inference`, once they are decoded. Ends with the best series, or refuses with every reason, kept in the Task.
 */
@Injectable()
export class QualityStep implements Step<AnalysisAccepted, GatePassed> {
  readonly name = 'quality';

  constructor(
    @Inject(STUDY_SOURCE) private readonly source: StudySource,
    private readonly models: ModelRegister,
    private readonly store: ResourceStore,
  ) {}

  async run(handoff: AnalysisAccepted): Promise<StepResult<GatePassed>> {
    const [task, metadata] = await Promise.all([
      this.readTask(handoff.taskId),
      this.source.metadata(handoff.studyInstanceUid),
    ]);
    if (task === null) return skipped('the task is gone');
    if (GIVEN_UP.has(task.status)) return skipped(`the task is ${task.status}`);
    const model = this.models.get(handoff.model);
    if (model === null) return this.refuse(handoff, [NOT_LOADED]);
    const choice = chooseSeries(metadata, model.manifest);
    if (choice.kind === 'refused') return this.refuse(handoff, choice.refusals);
    const { seriesInstanceUid, sopInstanceUids, warnings } = choice;
    const next: GatePassed = { ...handoff, seriesInstanceUid, sopInstanceUids, warnings };
    const write = (tx: Transaction) =>
      this.changeTask(tx, handoff.taskId, (kept) => passedTask(kept, warnings, new Date()));
    return done(next, { write, durable: false });
  }

  private refuse({ taskId }: AnalysisAccepted, refusals: readonly GateVerdict[]): StepResult<never> {
    return refused(refusals.map(verdictText).join('; '), (tx) =>
      this.changeTask(tx, taskId, (kept) => rejectedTask(kept, refusals, new Date())),
    );
  }

  private async readTask(id: string, tx?: Transaction): Promise<AnalysisTask | null> {
    const kept = await this.store.read('Task', id, tx);
    return kept === null || kept.deleted ? null : kept.parse<AnalysisTask>();
  }

  /** Reads the Task again inside the transaction, so that a change made meanwhile is not lost. */
  private async changeTask(
    tx: Transaction,
    id: string,
    change: (task: AnalysisTask) => AnalysisTask,
  ): Promise<void> {
    const task = await this.readTask(id, tx);
    if (task === null) return;
    await this.store.write(tx, [{ kind: 'update', resource: change(task), unchanged: 'skip' }]);
  }
}

const GIVEN_UP: ReadonlySet<string | undefined> = new Set(['cancelled', 'entered-in-error']);

const NOT_LOADED: GateVerdict = {
  rule: 'model',
  observed: 'the model is not loaded here any more',
  required: 'a model of the register',
};
