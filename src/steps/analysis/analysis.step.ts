import type { ImagingStudy, Task } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import {
  type AnalysisTask,
  analysisTaskId,
  failedTask,
  isOutdated,
  rejectedTask,
  requestedTask,
  studyVersionOf,
} from '../../governance/analysis-task.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import type { AnalysisAccepted, AnalysisRequested } from '../../kernel/handoffs.ts';
import { done, refused, type Step, type StepResult, skipped } from '../step.ts';

/**
 * Takes up a request to look at a study with a model: one Task per study and model version, however often it is asked for.
 * The same version of the study again is no new work; a newer version (a series came late) renews the Task.
 */
@Injectable()
export class AnalysisStep implements Step<AnalysisRequested, AnalysisAccepted> {
  readonly name = 'analysis';

  constructor(
    private readonly store: ResourceStore,
    private readonly models: ModelRegister,
  ) {}

  async run(handoff: AnalysisRequested): Promise<StepResult<AnalysisAccepted>> {
    const kept = await this.store.read('ImagingStudy', handoff.imagingStudyId);
    if (!kept || kept.deleted) return skipped('the study is gone');
    const study = kept.parse<ImagingStudy>();
    const studyInstanceUid = studyUidOf(study);
    if (!studyInstanceUid) return skipped('the ImagingStudy has no Study Instance UID');
    const entry = this.models.get(handoff.model);
    const model = entry?.ref ?? handoff.model;
    const task = requestedTask({ study, studyInstanceUid, model }, new Date());
    const retired = entry !== null && this.models.stateOf(entry.ref) === 'retired';
    if (!entry || retired) {
      const verdict = {
        rule: 'model',
        observed: retired
          ? 'this version of the model is retired'
          : 'no such model is loaded here, or it is retired',
        required: 'a model of the register',
      };
      return refused(`model ${handoff.model} is ${retired ? 'retired' : 'not loaded'}`, (tx) =>
        this.save(tx, rejectedTask(task, [verdict], new Date())),
      );
    }
    const earlier = await this.store.read('Task', analysisTaskId(studyInstanceUid, model));
    if (earlier && !earlier.deleted && isSameWork(earlier.parse<Task>(), task))
      return skipped('this version of the study is done or under way');
    return done<AnalysisAccepted>(
      {
        ...{ taskId: String(task.id), imagingStudyId: handoff.imagingStudyId, studyInstanceUid, model },
        studyVersion: kept.versionId,
      },
      // Two versions of a study may be taken up at the same time: the older one must not be written over the newer.
      {
        write: (tx) => this.save(tx, task, earlier && !earlier.deleted ? earlier.versionId : null),
        durable: false,
      },
    );
  }

  /** Called when a later step was given up: the thread must not look as if it still ran. */
  async fail(
    tx: Transaction,
    handoff: Pick<AnalysisAccepted, 'taskId' | 'studyVersion'>,
    why: string,
  ): Promise<void> {
    const kept = await this.store.read('Task', handoff.taskId, tx);
    if (!kept || kept.deleted) return;
    const task = kept.parse<AnalysisTask>();
    if (!isOutdated(task, handoff)) await this.save(tx, failedTask(task, why, new Date()));
  }

  private async save(tx: Transaction, task: AnalysisTask, ifVersion?: string | null): Promise<void> {
    await this.store.write(tx, [
      { kind: 'update', resource: task, ...(ifVersion === undefined ? {} : { ifVersion }) },
    ]);
  }
}

const isSameWork = (earlier: Task, task: Task) =>
  earlier.status !== 'failed' && studyVersionOf(earlier) === studyVersionOf(task);

export function studyUidOf(study: ImagingStudy): string | null {
  const identifier = study.identifier?.find((entry) => entry.system === IDENTIFIER_SYSTEMS.dicomUid);
  return identifier?.value?.replace(/^urn:oid:/, '') ?? null;
}
