import type { DiagnosticReport } from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { withoutOwnObjects } from '../../dicom/own-objects.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import { STUDY_SOURCE, type StudySource } from '../../dicom/study-source.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import type { StoredResource } from '../../fhir/stored-resource.ts';
import { Failure } from '../../kernel/errors.ts';
import type { PacsObjectsMade, ReportWritten } from '../../kernel/handoffs.ts';
import { LOGGER } from '../../kernel/log.ts';
import { done, givenUp, later, type Step, type StepResult, skipped } from '../step.ts';
import type { ObjectPlan } from './make-objects.ts';
import { type KnownObject, type MadeObject, type ObjectKind, PacsObjectStore } from './pacs-object.store.ts';
import { type AnalysisKey, analysisKeyOf, readResultRecord } from './read-result-record.ts';
import { contentDigestOf, recordToPlan } from './record-to-plan.ts';
import { perhapsShown, rejectable, standing } from './standing.ts';
import { trimMetadata } from './trim-metadata.ts';
import { toBeWithdrawn, type WithdrawalReason, withdrawalNote, withdrawalReason } from './withdrawal-note.ts';

/** How long to wait before a PACS that is away is asked for the study's headers again. */
export const HEADERS_RETRY_MS = 30_000;
/** A segmentation of 3,000 slices takes ten seconds. */
export const MAKE_TIME_LIMIT_MS = 120_000;

/**
 * Report → DICOM objects, kept until the PACS has them. They say what the record says now: when a newer version was written meanwhile,
 * that one is made, and the handoff of the newer version finds it. A report that is withdrawn or deleted gets a rejection note for what was made of it; an edit
 * of a finding makes another structured report, and picture, where they would say something else.
 */
@Injectable()
export class PacsObjectsStep implements Step<ReportWritten, PacsObjectsMade> {
  readonly name = 'pacs-objects';

  constructor(
    @Inject(STUDY_SOURCE) private readonly source: StudySource,
    private readonly store: ResourceStore,
    private readonly objects: PacsObjectStore,
    private readonly workers: PixelWorkers,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'PACS_OBJECTS' | 'SITE_TIME_ZONE'>,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  async run(handoff: ReportWritten): Promise<StepResult<PacsObjectsMade>> {
    const kept = await this.store.read('DiagnosticReport', handoff.diagnosticReportId);
    const report = kept && !kept.deleted ? kept.parse<DiagnosticReport>() : null;
    const key = report && analysisKeyOf(report);
    if (report && !key) return skipped('the report is of no analysis of ours');
    const earlier = await this.objects.ofReport(handoff.diagnosticReportId);
    const version = kept ? Number(kept.versionId) : 1 + (earlier.at(-1)?.reportVersion ?? 0);
    if (!handoff.findingEdited && earlier.some((one) => one.reportVersion === version))
      return skipped('this version is made already');
    if (this.wanted.size === 0 && !rejectable(earlier).some(({ state }) => state === 'stored'))
      return skipped('no objects are wanted in the PACS');
    // What has nothing in the PACS yet gets it with its version, or not at all.
    const inPacs = report ? standing(earlier) : perhapsShown(earlier);
    if ((handoff.findingEdited || !report) && inPacs.length === 0)
      return skipped('nothing of this report is in the PACS');
    const asked: Asked = { handoff, kept, report, key, version, earlier };
    try {
      const plan = await this.plan(asked);
      return plan === null ? skipped('the PACS has what it must have') : await this.make(asked, plan);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (AWAY.has(error.code)) return later(HEADERS_RETRY_MS, error.code);
      if (error.code === 'pacs.not-describable') return givenUp(`${error.code}: ${error.message}`);
      throw error;
    }
  }

  /** Null when nothing is to be made. */
  private async plan(asked: Asked): Promise<ObjectPlan | null> {
    const { report, key, earlier } = asked;
    const reason = withdrawalReason(report);
    if (reason !== null || !report || !key) return this.withdrawal(asked, reason ?? 'safety');
    const [record, metadata] = await Promise.all([
      readResultRecord(this.store, report, key),
      this.headers(key.studyInstanceUid),
    ]);
    const { wanted } = this;
    const { SITE_TIME_ZONE: timeZone } = this.settings;
    const plan = recordToPlan(record, { wanted, reportVersion: asked.version, earlier, metadata, timeZone });
    return asked.handoff.findingEdited && saysTheSame(plan, earlier) ? null : plan;
  }

  /** Empty where the site wants nothing new in its PACS: what is there already is still rejected when it says what the record says no more. */
  private get wanted(): ReadonlySet<ObjectKind> {
    const kinds = this.settings.PACS_OBJECTS;
    return new Set(kinds.includes('none') ? [] : (kinds as readonly ObjectKind[]));
  }

  private async withdrawal(asked: Asked, reason: WithdrawalReason): Promise<ObjectPlan | null> {
    const { report, kept, version, earlier } = asked;
    const rejected = toBeWithdrawn(reason, earlier);
    const before = report ?? (await this.before(asked));
    const key = before && analysisKeyOf(before);
    const studyInstanceUid = key?.studyInstanceUid ?? earlier.at(-1)?.studyInstanceUid;
    if (rejected.length === 0 || studyInstanceUid === undefined) return null;
    const source = await this.anyHeader(studyInstanceUid);
    if (source === null) return null;
    const note = await withdrawalNote(this.store, {
      ...{ reason, earlier, rejected, studyInstanceUid, source },
      reportId: asked.handoff.diagnosticReportId,
      reportVersion: version,
      model: key?.model ?? null,
      at: (kept?.lastUpdated ?? new Date()).toISOString(),
      timeZone: this.settings.SITE_TIME_ZONE,
    });
    return { studyInstanceUid, report: null, segmentation: null, capture: null, note };
  }

  /** A deleted report as it was; null when its versions were removed too. */
  private async before({ handoff, version }: Asked): Promise<DiagnosticReport | null> {
    const kept = await this.store.readVersion('DiagnosticReport', handoff.diagnosticReportId, version - 1);
    return kept && !kept.deleted ? kept.parse<DiagnosticReport>() : null;
  }

  /** Patient and study as an image of the study says them, or else an object of ours in it; null where the PACS has neither any more. */
  private async anyHeader(studyInstanceUid: string) {
    const metadata = await this.source.metadata(studyInstanceUid).catch((error: unknown) => {
      if (error instanceof Failure && error.code === 'dicomweb.not-found') return [];
      throw error;
    });
    const instance = withoutOwnObjects(metadata)[0] ?? metadata[0];
    return instance ? trimMetadata(instance) : null;
  }

  /** Of the study's own instances, ours left out, and of each only what is used. */
  private async headers(studyInstanceUid: string) {
    const metadata = await this.source.metadata(studyInstanceUid);
    return withoutOwnObjects(metadata).map(trimMetadata);
  }

  private async make(asked: Asked, plan: ObjectPlan): Promise<StepResult<PacsObjectsMade>> {
    const objects = await this.workers.run<MadeObject[]>(MAKE_MODULE, 'makeObjects', plan, {
      timeoutMs: MAKE_TIME_LIMIT_MS,
    });
    if (objects.length === 0) return skipped('there is nothing to store');
    const { handoff, version } = asked;
    const { diagnosticReportId } = handoff;
    const reason = plan.segmentationRefused;
    if (reason) this.log.warn({ diagnosticReportId, reason }, 'a segmentation is not made');
    const contentDigest = plan.report && contentDigestOf(plan.report);
    const made = {
      reportId: diagnosticReportId,
      reportVersion: version,
      objects,
      contentDigest,
      note: plan.note,
    };
    return done(
      { diagnosticReportId, versionId: version, studyInstanceUid: plan.studyInstanceUid },
      { write: (tx) => this.objects.add(tx, made) },
    );
  }
}

interface Asked {
  readonly handoff: ReportWritten;
  readonly kept: StoredResource | null;
  /** Null when it was deleted. */
  readonly report: DiagnosticReport | null;
  readonly key: AnalysisKey | null;
  readonly version: number;
  readonly earlier: readonly KnownObject[];
}

/** The edit of a finding changes nothing that the PACS is told. */
function saysTheSame(plan: ObjectPlan, earlier: readonly KnownObject[]): boolean {
  const latest = standing(earlier).findLast(({ kind }) => kind === 'sr');
  const isSameReport = plan.report === null || latest?.contentDigest === contentDigestOf(plan.report);
  return isSameReport && plan.capture === null && plan.segmentation === null && plan.note === null;
}

const AWAY: ReadonlySet<string> = new Set(['dicomweb.unreachable', 'dicomweb.timeout', 'dicomweb.status']);

const MAKE_MODULE = new URL(
  `./make-objects${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);
