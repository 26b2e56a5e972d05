import { Inject, Injectable } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { STUDY_SOURCE, type StudySource } from '../../dicom/study-source.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import type { AnalysisEvidence } from '../../governance/analysis-evidence.ts';
import { verdictText } from '../../governance/analysis-task.ts';
import type { RegisteredModel } from '../../governance/check-model.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { refuseAnalysis } from '../../governance/refuse-analysis.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GatePassed, GateVerdict, Inferred } from '../../kernel/handoffs.ts';
import { done, refused, type Step, type StepResult, skipped } from '../step.ts';
import type { KeyPicture } from './draw-key-picture.ts';
import type { Engine, EngineModel } from './engines/engine.ts';
import { InferenceEngines } from './inference-engines.ts';
import { EvidenceKeeper } from './keep-evidence.ts';
import { KeyPictures } from './key-pictures.ts';
import { isPicture, outputNames, pictureNumbers, pictureRegions } from './result-pictures.ts';
import { smallOutputs } from './small-outputs.ts';
import { type ModelTensors, type ReadTensorsOptions, TensorReader } from './tensor-reader.ts';
import { undecodableVerdict, whyNotRun } from './why-not-run.ts';

/**
 * Pixels → tensors → model → raw outputs. Nothing is judged here but what only pixels can tell. Fetched files are released however it
 * ends; large outputs (masks) are used up in the key picture.
 */
@Injectable()
export class InferenceStep implements Step<GatePassed, Inferred> {
  readonly name = 'inference';

  constructor(
    @Inject(STUDY_SOURCE) private readonly source: StudySource,
    private readonly models: ModelRegister,
    private readonly tensors: TensorReader,
    private readonly engines: InferenceEngines,
    private readonly pictures: KeyPictures,
    private readonly evidence: EvidenceKeeper,
    private readonly store: ResourceStore,
  ) {}

  async run(handoff: GatePassed): Promise<StepResult<Inferred>> {
    const ended = await whyNotRun(this.store, handoff);
    if (ended) return skipped(ended);
    const registered = this.models.get(handoff.model);
    if (!registered) {
      throw new Failure(
        'inference.model-missing',
        'The model of this analysis is no longer in the register.',
      );
    }
    const engine = this.engines.of(engineModel(registered).engine.kind);
    const tensors = await this.read(handoff, registered.manifest);
    if ('rule' in tensors) return this.refuse(handoff, tensors);
    const { verdict } = tensors;
    const warns = verdict !== null && (registered.manifest.warn_only ?? []).includes(verdict.rule);
    if (verdict && !warns) {
      tensors.release();
      return this.refuse(handoff, verdict);
    }
    const { picture, evidence, frames, ...numbers } = await this.analyse(
      handoff,
      registered,
      engine,
      tensors,
    ).catch(async (error: unknown) => {
      await this.audit(handoff, 8);
      throw error;
    });
    const warnings = verdict ? [...handoff.warnings, verdict] : handoff.warnings;
    const next: Inferred = { ...handoff, warnings, ...numbers, keyPicture: null, keySopInstanceUid: null };
    return done(next, {
      durable: false,
      write: async (tx) => {
        await this.audit(handoff, 0, tx);
        if (!picture && !evidence) return next;
        return this.keep(
          tx,
          next,
          picture && { ...picture, file: frames[picture.slice]?.file ?? 0 },
          evidence,
        );
      },
    });
  }

  /** A model has looked at a patient's images. */
  private async audit(handoff: GatePassed, outcome: 0 | 8, tx?: Transaction): Promise<void> {
    const task = await this.store.read('Task', handoff.taskId, tx);
    await this.store.record(
      {
        kind: 'inference',
        interaction: 'model-run',
        action: 'E',
        outcome,
        entity: `urn:oid:${handoff.studyInstanceUid}`,
        detail: handoff.model,
        texts: task && !task.deleted ? [task.json] : [],
      },
      tx,
    );
  }

  /** The tensors, or the verdict that an image cannot be decoded. */
  private async read(handoff: GatePassed, manifest: Manifest): Promise<ModelTensors | GateVerdict> {
    const { paths, release } = await this.files(handoff);
    try {
      return await this.tensors.read({ paths, manifest, timeLimitMs: READ_TIME_LIMIT_MS });
    } catch (error) {
      const verdict = undecodableVerdict(error);
      if (verdict === null) throw error;
      return verdict;
    } finally {
      await release();
    }
  }

  /** From another server each is read as it arrives. */
  private async files(handoff: GatePassed): Promise<ImageFiles> {
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUids } = handoff;
    const arriving = this.source.fetchEach?.(studyInstanceUid, seriesInstanceUid, sopInstanceUids);
    if (arriving) return arriving;
    const fetched = await this.source.fetch(studyInstanceUid, seriesInstanceUid, sopInstanceUids);
    return { paths: fetched.instances.map(({ path }) => path), release: () => fetched.release() };
  }

  /** After a failed run the tensors are not given back: a run that timed out still reads them. */
  private async analyse(
    handoff: GatePassed,
    registered: RegisteredModel,
    engine: Engine,
    tensors: ModelTensors,
  ) {
    const { manifest } = registered;
    // Without a mask or boxes the picture shows what goes in: it is drawn while the model runs.
    const early = drawsResult(manifest) ? null : this.pictures.draw(manifest.outputs, {}, tensors);
    early?.catch(() => undefined); // a failed run says why; the picture's own fault is met below
    const result = await engine.run({
      model: engineModel(registered),
      inputs: tensors.inputs,
      outputs: outputNames(manifest.outputs),
      timeLimitMs: manifest.running.time_limit_ms,
    });
    try {
      const pictures = await this.pictures.read(
        manifest.outputs,
        result.outputs,
        tensors,
        this.evidence.keepsMasks,
      );
      const { frames } = tensors;
      const hasRegions = Object.keys(pictures).length > 0;
      return {
        frames,
        ...(hasRegions ? { regions: pictureRegions(pictures, frames, handoff.sopInstanceUids) } : {}),
        outputs: { ...smallOutputs(manifest.outputs, result.outputs), ...pictureNumbers(pictures) },
        inputsDigest: tensors.digest,
        inferenceMs: Math.round(result.ms),
        picture: await (early ?? this.pictures.draw(manifest.outputs, result.outputs, tensors, pictures)),
        evidence: await this.evidence.gather(handoff, manifest, result.outputs, tensors, pictures),
      };
    } finally {
      tensors.release();
    }
  }

  private refuse(handoff: GatePassed, verdict: GateVerdict): StepResult<never> {
    return refused(verdictText(verdict), (tx) => refuseAnalysis(this.store, tx, handoff, [verdict]));
  }

  private async keep(
    tx: Transaction,
    next: Inferred,
    picture: (KeyPicture & { readonly file: number }) | null,
    evidence: AnalysisEvidence | null,
  ): Promise<Inferred> {
    const binaries = [
      ...(evidence ? [this.evidence.binary(evidence, next)] : []),
      ...(picture ? [this.pictures.binary(picture, next)] : []),
    ];
    await this.store.write(
      tx,
      binaries.map((resource) => ({ kind: 'update', resource, unchanged: 'skip' }) as const),
    );
    if (!picture) return next;
    const keyPicture = String(binaries.at(-1)?.id);
    return { ...next, keyPicture, keySopInstanceUid: next.sopInstanceUids[picture.file] ?? null };
  }
}

/** One task reads a dozen files; a disk or a code stream that takes longer has a fault. */
export const READ_TIME_LIMIT_MS = 60_000;

interface ImageFiles {
  readonly paths: ReadTensorsOptions['paths'];
  release(): Promise<void>;
}

const drawsResult = (manifest: Manifest) =>
  manifest.outputs.some((output) => output.kind === 'mask' || isPicture(output));

/** What an engine needs to know of a registered model. */
export function engineModel({ ref, manifest, file }: RegisteredModel): EngineModel {
  return {
    key: ref,
    version: manifest.version,
    file,
    engine: manifest.running.engine ?? { kind: 'onnx' },
    concurrencyMax: manifest.running.concurrency_max ?? 1,
  };
}
