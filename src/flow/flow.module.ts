import { Inject, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { type LaneDue, laneJob } from '../kernel/handoffs.ts';
import type { Job, JobHandler, Transaction } from '../queue/job.ts';
import { JobEngines } from '../queue/job-engines.ts';
import { Outbox } from '../queue/outbox.ts';
import { AnalysisModule } from '../steps/analysis/analysis.module.ts';
import { AnalysisStep } from '../steps/analysis/analysis.step.ts';
import { FilingModule } from '../steps/filing/filing.module.ts';
import { FilingStep } from '../steps/filing/filing.step.ts';
import { FindingsModule } from '../steps/findings/findings.module.ts';
import { FindingsStep } from '../steps/findings/findings.step.ts';
import { InferenceModule } from '../steps/inference/inference.module.ts';
import { InferenceStep } from '../steps/inference/inference.step.ts';
import { PacsResultsModule } from '../steps/pacs/pacs.module.ts';
import { PacsObjectsStep } from '../steps/pacs/pacs-objects.step.ts';
import { PacsStoreStep } from '../steps/pacs/pacs-store.step.ts';
import { QualityModule } from '../steps/quality/quality.module.ts';
import { QualityStep } from '../steps/quality/quality.step.ts';
import { ReportModule } from '../steps/report/report.module.ts';
import { ReportStep } from '../steps/report/report.step.ts';
import { OutboundMessageStore } from '../steps/ris/outbound-message.store.ts';
import { RisModule } from '../steps/ris/ris.module.ts';
import { RisMessageStep } from '../steps/ris/ris-message.step.ts';
import { RisSendStep } from '../steps/ris/ris-send.step.ts';
import { FindPriorsStep } from '../steps/study/find-priors.ts';
import { StudyModule } from '../steps/study/study.module.ts';
import { StudyStep } from '../steps/study/study.step.ts';
import { SUBSCRIPTION_HANDLERS, SubscriptionsModule } from '../subscriptions/subscriptions.module.ts';
import { type AnyStep, FlowRunner } from './flow-runner.ts';

const STEPS = [
  FilingStep,
  StudyStep,
  AnalysisStep,
  FindPriorsStep,
  QualityStep,
  InferenceStep,
  FindingsStep,
  ReportStep,
  RisMessageStep,
  RisSendStep,
  PacsObjectsStep,
  PacsStoreStep,
];

@Module({
  imports: [
    SubscriptionsModule,
    FilingModule,
    StudyModule,
    AnalysisModule,
    QualityModule,
    InferenceModule,
    FindingsModule,
    ReportModule,
    RisModule,
    PacsResultsModule,
  ],
  providers: [
    {
      provide: FlowRunner,
      inject: [Outbox, AnalysisStep, OutboundMessageStore, ...STEPS],
      useFactory: (
        outbox: Outbox,
        analysis: AnalysisStep,
        messages: OutboundMessageStore,
        ...steps: AnyStep[]
      ) =>
        new FlowRunner(outbox, steps, async (tx, job, why, step) => {
          // What runs beside the way does not end the analysis.
          if (step !== 'priors') await failThread(analysis, tx, job.payload, why);
          if (step === 'ris-send') await buryHead({ messages, outbox, tx }, job as Job<LaneDue>);
        }),
    },
  ],
  exports: [FlowRunner],
})
export class FlowModule implements OnApplicationBootstrap {
  constructor(
    private readonly flow: FlowRunner,
    private readonly engines: JobEngines,
    @Inject(SUBSCRIPTION_HANDLERS) private readonly others: readonly JobHandler[],
  ) {}

  /** Every listener for changes is registered by now; jobs of an earlier life may start. */
  async onApplicationBootstrap(): Promise<void> {
    await this.engines.start([...this.flow.handlers(), ...this.others] as JobHandler[]);
  }
}

/** What a lane could not send is a dead letter, and the lane goes on without it. */
async function buryHead(
  { messages, outbox, tx }: { messages: OutboundMessageStore; outbox: Outbox; tx: Transaction },
  { id, payload }: Job<LaneDue>,
): Promise<void> {
  const messageId = await messages.buryHead(tx, payload.lane);
  if (messageId === null) await outbox.takeDead(tx, id);
  else await outbox.buryAs(tx, id, { ...payload, messageId });
  await outbox.add(tx, [laneJob(payload)]);
}

/** A job that was given up ends its analysis visibly. */
async function failThread(
  analysis: AnalysisStep,
  tx: Transaction,
  handoff: object,
  why: string,
): Promise<void> {
  const { taskId, studyVersion } = handoff as { taskId?: string; studyVersion?: string };
  if (taskId) await analysis.fail(tx, { taskId, ...(studyVersion ? { studyVersion } : {}) }, why);
}
