import type { DiagnosticReport } from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { withoutOwnObjects } from '../../dicom/own-objects.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import { STUDY_SOURCE, type StudySource } from '../../dicom/study-source.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import type { PacsObjectsMade, ReportWritten } from '../../kernel/handoffs.ts';
import { done, givenUp, later, type Step, type StepResult, skipped } from '../step.ts';
import type { ObjectPlan } from './make-objects.ts';
import { type KnownObject, type MadeObject, type ObjectKind, PacsObjectStore } from './pacs-object.store.ts';
import { type AnalysisKey, analysisKeyOf, readResultRecord } from './read-result-record.ts';
import { contextOf, noteUids, recordToPlan, rejectable } from './record-to-plan.ts';
import { trimMetadata } from './trim-metadata.ts';

/** How long to wait before a PACS that is away is asked for the study's headers again. */
export const HEADERS_RETRY_MS = 30_000;
/** A segmentation of 3,000 slices takes ten seconds. */
export const MAKE_TIME_LIMIT_MS = 120_000;

/**
 * Report → DICOM objects, kept until the PACS has them. They say what the record says now: when a newer version was written meanwhile,
 * that one is made, and the handoff of the newer version finds it. A withdrawn report gets a rejection note for what was made of it.
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
  ) {}

  async run(handoff: ReportWritten): Promise<StepResult<PacsObjectsMade>> {
    if (this.settings.PACS_OBJECTS.includes('none')) return skipped('no objects are wanted in the PACS');
    const kept = await this.store.read('DiagnosticReport', handoff.diagnosticReportId);
    if (!kept || kept.deleted) return skipped('the report is gone');
    const report = kept.parse<DiagnosticReport>();
    const key = analysisKeyOf(report);
    if (!key) return skipped('the report is of no analysis of ours');
    const versionId = Number(kept.versionId);
    const earlier = await this.objects.ofReport(kept.id);
    if (earlier.some((one) => one.reportVersion === versionId))
      return skipped('this version is made already');
    const next: PacsObjectsMade = {
      diagnosticReportId: kept.id,
      versionId,
      studyInstanceUid: key.studyInstanceUid,
    };
    try {
      const plan = await this.plan(report, key, versionId, earlier);
      if (plan === null) return skipped('nothing of this report is in the PACS');
      const made = await this.make(plan);
      if (made.length === 0) return skipped('there is nothing to store');
      return done(next, { write: (tx) => this.objects.add(tx, kept.id, versionId, made) });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (AWAY.has(error.code)) return later(HEADERS_RETRY_MS, error.code);
      if (error.code === 'pacs.not-describable') return givenUp(`${error.code}: ${error.message}`);
      throw error;
    }
  }

  private async plan(
    report: DiagnosticReport,
    key: AnalysisKey,
    reportVersion: number,
    earlier: readonly KnownObject[],
  ): Promise<ObjectPlan | null> {
    const withdrawn = WITHDRAWN[report.status ?? ''];
    if (withdrawn && rejectable(earlier).length === 0) return null;
    const [record, metadata] = await Promise.all([
      readResultRecord(this.store, report, key),
      this.headers(key.studyInstanceUid),
    ]);
    const timeZone = this.settings.SITE_TIME_ZONE;
    if (!withdrawn) {
      const wanted = new Set(this.settings.PACS_OBJECTS as readonly ObjectKind[]);
      return recordToPlan(record, { wanted, reportVersion, earlier, metadata, timeZone });
    }
    const source = metadata[0];
    if (!source) throw new Failure('pacs.not-describable', 'The PACS has no image of this study any more.');
    const note = {
      context: contextOf(record, source, { timeZone }),
      studyInstanceUid: key.studyInstanceUid,
      ...noteUids(report, reportVersion),
      instanceNumber: reportVersion,
      reason: withdrawn,
      rejected: rejectable(earlier),
    };
    return { studyInstanceUid: key.studyInstanceUid, report: null, segmentation: null, capture: null, note };
  }

  /** Of the study's own instances, ours left out, and of each only what is used. */
  private async headers(studyInstanceUid: string) {
    const metadata = await this.source.metadata(studyInstanceUid);
    return withoutOwnObjects(metadata).map(trimMetadata);
  }

  private make(plan: ObjectPlan): Promise<MadeObject[]> {
    return this.workers.run<MadeObject[]>(MAKE_MODULE, 'makeObjects', plan, {
      timeoutMs: MAKE_TIME_LIMIT_MS,
    });
  }
}

/** `cancelled`: withdrawn; `entered-in-error`: it should never have been there. */
const WITHDRAWN: Readonly<Record<string, 'quality' | 'safety'>> = {
  cancelled: 'quality',
  'entered-in-error': 'safety',
};

const AWAY: ReadonlySet<string> = new Set(['dicomweb.unreachable', 'dicomweb.timeout', 'dicomweb.status']);

const MAKE_MODULE = new URL(
  `./make-objects${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);
