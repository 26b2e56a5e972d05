import { Inject, Injectable } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { jsonString } from '../../dicom/json-values.ts';
import { withoutOwnObjects } from '../../dicom/own-objects.ts';
import { type DicomJson, STUDY_SOURCE, type StudySource } from '../../dicom/study-source.ts';
import { ifStill } from '../../fhir/if-still.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import {
  type AnalysisTask,
  isOutdated,
  passedTask,
  verdictText,
  whyEnded,
  withScanner,
} from '../../governance/analysis-task.ts';
import { Conformance, type JudgedStudy } from '../../governance/conformance.ts';
import { type Scanner, scannerOf } from '../../governance/conformance-scanner.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { refuseAnalysis } from '../../governance/refuse-analysis.ts';
import { type PatientContext, StudyContextStore } from '../../governance/study-context.store.ts';
import type { AnalysisAccepted, GatePassed, GateVerdict } from '../../kernel/handoffs.ts';
import { SubsumingCodes } from '../../terminology/subsuming-codes.ts';
import { done, refused, type Step, type StepResult, skipped } from '../step.ts';
import { chooseSeries } from './choose-series.ts';
import type { GateContext } from './gate-rule.ts';

/**
 * The gate: does this study fit this model? Looks at the headers of all instances; the rules about the pixels themselves are
 * judged in `inference`, once they are decoded. Ends with the best series, or refuses with every reason, kept in the Task. On the way the
 * study is compared with the imaging protocols of the site.
 */
@Injectable()
export class QualityStep implements Step<AnalysisAccepted, GatePassed> {
  readonly name = 'quality';

  constructor(
    @Inject(STUDY_SOURCE) private readonly source: StudySource,
    private readonly models: ModelRegister,
    private readonly store: ResourceStore,
    private readonly conformance: Conformance,
    private readonly contexts: StudyContextStore,
    private readonly codes: SubsumingCodes,
  ) {}

  async run(handoff: AnalysisAccepted): Promise<StepResult<GatePassed>> {
    const [task, metadata, record] = await Promise.all([
      this.readTask(handoff.taskId),
      this.source.metadata(handoff.studyInstanceUid).then(withoutOwnObjects),
      this.contexts.readPatient(handoff.imagingStudyId),
    ]);
    const ended = whyEnded(task, handoff);
    if (ended) return skipped(ended);
    const model = this.models.get(handoff.model);
    if (model === null) return this.refuse(handoff, [NOT_LOADED], null, null);
    const judged = await this.conformance.judge(handoff.studyInstanceUid, metadata);
    const excluded = await this.excludedProblems(record, model.manifest.fits.problems_not ?? []);
    const context = contextOf(record, excluded, judged);
    const choice = chooseSeries(metadata, model.manifest, context);
    const scanner = scannerOfSeries(metadata, choice.seriesInstanceUid);
    if (choice.kind === 'refused') return this.refuse(handoff, choice.refusals, judged, scanner);
    const { seriesInstanceUid, sopInstanceUids, warnings } = choice;
    const next: GatePassed = { ...handoff, seriesInstanceUid, sopInstanceUids, warnings };
    const write = (tx: Transaction) => this.pass(tx, handoff, judged, scanner, warnings);
    return done(next, { write, durable: false });
  }

  /** Of the codes that a manifest excludes those that a problem or a reason is, or is a kind of. Most manifests exclude none. */
  private async excludedProblems(
    { problems, reasons }: PatientContext,
    excluded: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const codings = [...problems, ...reasons].flatMap(({ coding }) => coding ?? []);
    return excluded.length === 0 || codings.length === 0 ? new Set() : this.codes.among(excluded, codings);
  }

  private refuse(
    handoff: AnalysisAccepted,
    refusals: readonly GateVerdict[],
    judged: JudgedStudy | null,
    scanner: Scanner | null,
  ): StepResult<never> {
    return refused(refusals.map(verdictText).join('; '), async (tx) => {
      const known = await this.count(tx, judged, scanner, new Date());
      const adapt = (task: AnalysisTask) => (known === null ? task : withScanner(task, known));
      await refuseAnalysis(this.store, tx, handoff, refusals, adapt);
    });
  }

  private async readTask(id: string, tx?: Transaction): Promise<AnalysisTask | null> {
    const kept = await this.store.read('Task', id, tx);
    return kept === null || kept.deleted ? null : kept.parse<AnalysisTask>();
  }

  /** Reads the Task again inside the transaction, so that a change made meanwhile is not lost. */
  private async pass(
    tx: Transaction,
    handoff: AnalysisAccepted,
    judged: JudgedStudy,
    scanner: Scanner | null,
    warnings: readonly GateVerdict[],
  ): Promise<void> {
    const now = new Date();
    const task = await this.readTask(handoff.taskId, tx);
    const known = await this.count(tx, judged, task === null ? null : scanner, now);
    if (task === null || isOutdated(task, handoff)) return;
    const passed = passedTask(task, warnings, now);
    const resource = known === null ? passed : withScanner(passed, known);
    await this.store.write(tx, [{ kind: 'update', resource, unchanged: 'skip', ...ifStill(task) }]);
  }

  /** Counts what was judged, by scanner. Gives the Device of the scanner. */
  private async count(
    tx: Transaction,
    judged: JudgedStudy | null,
    scanner: Scanner | null,
    now: Date,
  ): Promise<string | null> {
    if (judged !== null) await this.conformance.keep(tx, judged, now);
    return scanner === null ? null : await this.conformance.keepScanner(tx, scanner, now);
  }
}

/** What the EHR and the order say, as the rules read it. */
function contextOf(
  { patient }: PatientContext,
  problems: ReadonlySet<string>,
  judged: JudgedStudy,
): GateContext {
  const born = patient?.birthDate?.length === DAY_CHARACTERS ? patient.birthDate : null;
  return {
    patient: patient && { sex: SEXES[patient.gender ?? ''] ?? null, born },
    problems,
    protocolDeviation: (images) => judged.deviationOf(images),
  };
}

/** `YYYY-MM-DD`; a year alone says no age at a day. */
const DAY_CHARACTERS = 10;

/** administrative-gender → PatientSex (PS3.3 C.7.1.1). `unknown` says nothing. */
const SEXES: Readonly<Record<string, 'F' | 'M' | 'O'>> = { female: 'F', male: 'M', other: 'O' };

function scannerOfSeries(metadata: readonly DicomJson[], seriesInstanceUid: string | null): Scanner | null {
  const image = metadata.find((one) => jsonString(one, '0020000E') === seriesInstanceUid) ?? metadata[0];
  return image === undefined ? null : scannerOf(image);
}

const NOT_LOADED: GateVerdict = {
  rule: 'model',
  observed: 'the model is not loaded here any more',
  required: 'a model of the register',
};
