import type { DiagnosticReport, ImagingStudy, Observation, Resource } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import { ifStill } from '../../fhir/if-still.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { type AnalysisTask, completedTask, reportId, whyEnded } from '../../governance/analysis-task.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { ModelStates } from '../../governance/model-states.ts';
import { reasonForExam } from '../../governance/reason-for-exam.ts';
import { isWithdrawnByGate } from '../../governance/refuse-analysis.ts';
import { isSigned, isUnsigned, isWithdrawn } from '../../governance/standing.ts';
import { type StudyContext, StudyContextStore } from '../../governance/study-context.store.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { type FindingsCoded, type ReportWritten, RIS_MESSAGE_QUEUE } from '../../kernel/handoffs.ts';
import type { JobRequest } from '../../queue/job.ts';
import { Outbox } from '../../queue/outbox.ts';
import { done, type Step, type StepResult, skipped } from '../step.ts';
import { choosePriors, NO_PRIORS, type Priors } from './choose-priors.ts';
import { type AnalysisRecord, analysisValue, findingsToRecord, type Kept } from './findings-to-record.ts';

/**
 * Writes the record: Observations, DiagnosticReport, Provenance, picture and the completed Task in one transaction, together with the job
 * that tells the RIS. Run again with the same inputs it changes nothing; with other inputs it makes a new version of the same report.
 */
@Injectable()
export class ReportStep implements Step<FindingsCoded, ReportWritten> {
  readonly name = 'report';

  constructor(
    private readonly store: ResourceStore,
    private readonly models: ModelRegister,
    private readonly states: ModelStates,
    private readonly contexts: StudyContextStore,
    private readonly outbox: Outbox,
  ) {}

  async run(coded: FindingsCoded): Promise<StepResult<ReportWritten>> {
    const keys = coded.findings.map(({ key }) => key);
    const [{ study, task, earlier }, context] = await Promise.all([
      this.read(coded),
      this.contexts.read(coded.imagingStudyId, keys),
    ]);
    if (!study || !task) return skipped('the study or its Task is gone');
    const ended = whyEnded(task, coded);
    if (ended) return skipped(ended);
    const model = this.models.get(coded.model);
    if (!model)
      throw new Failure(
        'model.unknown',
        `The model ${coded.model} is no longer loaded; put it back, or replay after it is.`,
      );
    const reference = { reference: `DiagnosticReport/${reportId(coded.studyInstanceUid, coded.model)}` };
    const finished = (now: Date) =>
      // Whoever signs the report, or renews the Task, while the new version is made is not written over: the job runs again and sees it.
      ({
        kind: 'update',
        resource: noted(completedTask(task, reference, now, coded.warnings), study, earlier),
        ...ifStill(task),
      }) as const;
    const unchanged = earlier ? whyUnchanged(earlier, coded, study) : null;
    if (unchanged) {
      const mayTell = unchanged === SAME && (await this.states.mayLeave(coded.model));
      return skipped(unchanged, async (tx) => {
        await this.store.write(tx, [finished(new Date())]);
        if (mayTell) await this.outbox.add(tx, [lookAgain(reference.reference, study)]);
      });
    }
    // In shadow the record is written and nothing leaves: neither the RIS nor the PACS is told.
    const [leaves, priors] = await Promise.all([
      this.states.mayLeave(coded.model),
      this.priors(coded, study, context),
    ]);
    const record = findingsToRecord(coded, study, model, new Date(), {
      reason: reasonForExam(context.reasons, study.reasonCode),
      priors,
    });
    const withdrawn = earlier ? await this.withdrawn(earlier, record) : [];
    return done<ReportWritten>(null, {
      write: async (tx) => {
        const resources: (Resource & Kept)[] = [
          ...record.observations,
          ...withdrawn,
          ...(record.picture ? [record.picture] : []),
          record.report,
          record.provenance,
        ];
        const written = await this.store.write(tx, [
          ...resources.map((resource) => {
            const still = resource === record.report ? ifStill(earlier) : {};
            return { kind: 'update', resource, ...still } as const;
          }),
          finished(new Date()),
        ]);
        const report = written.find((stored) => stored.type === 'DiagnosticReport');
        if (!leaves) return undefined;
        return {
          diagnosticReportId: String(record.report.id),
          versionId: Number(report?.versionId),
          patientId: record.report.subject?.reference?.split('/')[1] ?? '',
        };
      },
    });
  }

  private async read(coded: FindingsCoded) {
    const refs = [
      { type: 'ImagingStudy', id: coded.imagingStudyId },
      { type: 'Task', id: coded.taskId },
      { type: 'DiagnosticReport', id: reportId(coded.studyInstanceUid, coded.model) },
    ];
    const found = (await this.store.readMany(refs)).filter((stored) => stored && !stored.deleted);
    const get = <T extends Resource>(type: string) =>
      found.find((stored) => stored.type === type)?.parse<T>() ?? null;
    return {
      study: get<ImagingStudy>('ImagingStudy'),
      task: get<AnalysisTask>('Task'),
      earlier: get<DiagnosticReport>('DiagnosticReport'),
    };
  }

  /** A result whose report a person has withdrawn is none, even where its findings were left as they are. */
  private async priors(coded: FindingsCoded, study: ImagingStudy, context: StudyContext): Promise<Priors> {
    if (context.observations.length === 0) return NO_PRIORS;
    const ids = context.observations.flatMap((one) => reportIdOf(one) ?? []);
    const reports = await this.store.readMany(
      [...new Set(ids)].map((id) => ({ type: 'DiagnosticReport', id })),
    );
    const standing = new Set(
      reports
        .filter((stored) => !stored.deleted && !isWithdrawn(stored.parse<DiagnosticReport>()))
        .map(({ id }) => id),
    );
    const observations = context.observations.filter((one) => standing.has(reportIdOf(one) ?? ''));
    return choosePriors(coded, study, { ...context, observations });
  }

  /** Findings of the earlier version that the new one does not have any more: withdrawn, never deleted. */
  private async withdrawn(
    earlier: DiagnosticReport,
    record: AnalysisRecord,
  ): Promise<(Observation & Kept)[]> {
    const kept = new Set(record.observations.map((observation) => observation.id));
    const gone = (earlier.result ?? [])
      .map((result) => result.reference?.split('/')[1] ?? '')
      .filter((id) => id !== '' && !kept.has(id))
      .map((id) => ({ type: 'Observation', id }));
    const stored = gone.length > 0 ? await this.store.readMany(gone) : [];
    return stored.map(
      (one) => ({ ...one.parse<Observation>(), status: 'entered-in-error' }) as Observation & Kept,
    );
  }
}

/** The report a finding of ours belongs to: both ids follow from study and model. */
function reportIdOf(observation: Observation): string | null {
  const value = observation.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.analysis)?.value;
  const [uid, model] = value?.split('|') ?? [];
  return uid && model ? reportId(uid, model) : null;
}

/**
 * The accession number is the study's where no order has one, so a correction of it in the PACS leaves the report as it is: the step that makes messages compares it
 * with what each receiver was told, and says nothing to those who would see the same.
 */
function lookAgain(report: string, study: ImagingStudy): JobRequest<ReportWritten> {
  const patientId = study.subject.reference?.split('/')[1] ?? '';
  const diagnosticReportId = report.split('/')[1] ?? '';
  const payload = { diagnosticReportId, versionId: 0, patientId, ifMisplaced: true } as const;
  return { queue: RIS_MESSAGE_QUEUE, payload, lane: `oru:${patientId}` };
}

/** Does the report name the patient, the order and the visit that the study has now? */
const isFor = (study: ImagingStudy, report: DiagnosticReport): boolean => namedIn(study) === namedIn(report);

const namedIn = ({ subject, basedOn, encounter }: ImagingStudy | DiagnosticReport): string =>
  JSON.stringify([subject?.reference, basedOn?.map((one) => one.reference) ?? [], encounter?.reference]);

/** A person has signed it, so it stays; but the images are of somebody else, or for another order, since. */
export const SIGNED_FOR_OTHERS =
  'The study was given another patient or order after its report was signed. The signed report still names those of before: correct it.';

function noted(task: AnalysisTask, study: ImagingStudy, report: DiagnosticReport | null): AnalysisTask {
  const stays = report !== null && isSigned(report) && !isFor(study, report);
  return stays ? { ...task, note: [...(task.note ?? []), { text: SIGNED_FOR_OTHERS }] } : task;
}

/** Why the report that is there stays as it is: null when a new version is due. */
function whyUnchanged(earlier: DiagnosticReport, coded: FindingsCoded, study: ImagingStudy): string | null {
  // No person took it back: the study did not fit for a while.
  if (isWithdrawnByGate(earlier)) return null;
  // A person has decided: a machine's later look never takes that back.
  if (!isUnsigned(earlier)) return `the report is ${earlier.status}`;
  const value = earlier.identifier?.find(
    (identifier) => identifier.system === IDENTIFIER_SYSTEMS.analysis,
  )?.value;
  // An order that came late, or a correction in the PACS: the same findings of somebody else, or for another order.
  if (!isFor(study, earlier)) return null;
  return value === analysisValue(coded) ? SAME : null;
}

const SAME = 'the same inputs gave the same report';
