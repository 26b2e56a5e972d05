import type { DiagnosticReport, ImagingStudy, OperationOutcome, Task } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { type AccessContext, demandAccess } from '../../fhir/access-context.ts';
import { badParameter } from '../../fhir/at-parameter.ts';
import {
  type OperationAnswer,
  OperationRegistry,
  type OperationRequest,
} from '../../fhir/operation-registry.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { analysisTaskId } from '../../governance/analysis-task.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { Failure } from '../../kernel/errors.ts';
import { studyUidOf } from './analysis.step.ts';
import { AnalysisRequestsStore } from './analysis-requests.store.ts';
import { TaskEnds } from './task-ends.ts';

/** A caller who waits longer should have asked for an asynchronous answer; many proxies cut at a minute. */
export const ANALYZE_WAIT_MS = 55_000;

/**
 * `POST ImagingStudy/{id}/$analyze?model=…`: an answer now, by the same way that a Subscription takes. With `Prefer: respond-async` (R4 async.html) it
 * answers 202 and the address of `Task/{id}/$result`, which gives 202 until the report is there, and 404 for what was never asked for.
 */
@Injectable()
export class AnalyzeOperation implements OnModuleInit {
  constructor(
    private readonly operations: OperationRegistry,
    private readonly store: ResourceStore,
    private readonly models: ModelRegister,
    private readonly ends: TaskEnds,
    private readonly requests: AnalysisRequestsStore,
  ) {}

  onModuleInit(): void {
    this.operations.register({
      name: '$analyze',
      level: 'instance',
      type: 'ImagingStudy',
      parameters: ['model'],
      run: (request) => this.analyze(request),
    });
    this.operations.register({
      name: '$result',
      level: 'instance',
      type: 'Task',
      parameters: [],
      get: true,
      run: (request) => this.result(request),
    });
  }

  private async analyze(request: OperationRequest): Promise<OperationAnswer> {
    demandAccess(request.access, 'ImagingStudy', 'read');
    demandAccess(request.access, 'DiagnosticReport', 'create');
    // It is the answer: who may not have it is told before a model runs.
    demandAccess(request.access, 'DiagnosticReport', 'read');
    const entry = this.models.get(request.query.get('model') ?? '');
    if (!entry) {
      const names =
        this.models
          .list()
          .map((model) => model.ref)
          .join(', ') || 'none';
      throw badParameter('model', `Name a loaded model: ?model=<id> or <id>@<version>. Loaded: ${names}.`);
    }
    const study = await this.store.read('ImagingStudy', request.id ?? '', undefined, request.access);
    if (!study || study.deleted) throw new Failure('fhir.not-found', 'There is no such ImagingStudy.');
    const uid = studyUidOf(study.parse<ImagingStudy>());
    if (!uid)
      throw new Failure('fhir.invalid', 'The ImagingStudy has no identifier of the system urn:dicom:uid.');
    const taskId = analysisTaskId(uid, entry.ref);
    const ended = this.ends.of(taskId, study.versionId, ANALYZE_WAIT_MS);
    await this.requests.add(taskId, { imagingStudyId: study.id, model: entry.ref });
    const location = `${this.store.base}/Task/${taskId}/$result`;
    if (/\brespond-async\b/.test(request.headers['prefer'] ?? '')) {
      ended.forget();
      return { status: 202, resource: null, headers: { 'content-location': location } };
    }
    const task = await ended.task;
    if (!task) return { status: 202, resource: null, headers: { 'content-location': location } };
    return this.answerFor(task, request.access);
  }

  private async result(request: OperationRequest): Promise<OperationAnswer> {
    demandAccess(request.access, 'Task', 'read');
    demandAccess(request.access, 'DiagnosticReport', 'read');
    const id = request.id ?? '';
    const asked = await this.requests.studyOf(id);
    const kept = await this.store.read('Task', id, undefined, request.access);
    // Asked for and not taken up yet: what an earlier request left in the Task is no answer to this one. Of a study that is hidden nobody learns that it was asked for.
    if (asked !== null && (kept || (await this.maySeeStudy(asked, request.access))))
      return { status: 202, resource: null, headers: { 'x-progress': 'requested' } };
    if (!kept)
      throw new Failure(
        'fhir.not-found',
        'There is no such Task, and no analysis was asked for under this id.',
      );
    if (kept.deleted) throw new Failure('fhir.deleted', 'The Task was deleted.');
    const task = kept.parse<Task>();
    if (task.status === 'requested' || task.status === 'in-progress') {
      return {
        status: 202,
        resource: null,
        headers: { 'x-progress': task.businessStatus?.text ?? task.status },
      };
    }
    return this.answerFor(task, request.access);
  }

  private async maySeeStudy(id: string, access: AccessContext): Promise<boolean> {
    return (
      access.allows('ImagingStudy', 'read') &&
      (await this.store.read('ImagingStudy', id, undefined, access)) !== null
    );
  }

  /** The report; or, when the study was refused or the analysis failed, an outcome that says why. */
  private async answerFor(task: Task, access: AccessContext): Promise<OperationAnswer> {
    const reference = task.output?.find((output) => output.type?.text === 'report')?.valueReference
      ?.reference;
    if (task.status === 'completed' && reference) {
      const report = await this.store.read(
        'DiagnosticReport',
        reference.split('/')[1] ?? '',
        undefined,
        access,
      );
      if (report && !report.deleted) return { status: 200, resource: report.parse<DiagnosticReport>() };
    }
    return { status: 422, resource: outcomeOf(task) };
  }
}

function outcomeOf(task: Task): OperationOutcome {
  return {
    resourceType: 'OperationOutcome',
    issue: [
      {
        severity: 'error',
        code: task.status === 'rejected' ? 'business-rule' : 'processing',
        details: task.statusReason ?? { text: 'The analysis ended without a reason.' },
        diagnostics: `Task/${task.id} is ${task.status}.`,
      },
    ],
  };
}
