import type { Binary } from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import {
  type AnalysisEvidence,
  EVIDENCE_MEDIA_TYPE,
  evidenceId,
  type KeptMask,
  MASK_BYTES_MAX,
  MASKS_BYTES_MAX,
} from '../../governance/analysis-evidence.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GatePassed, Inferred } from '../../kernel/handoffs.ts';
import type { EncodedMask, MaskOnGrid } from './encode-mask.ts';
import type { OutputTensor } from './engines/engine.ts';
import type { PictureResults } from './result-pictures.ts';
import { gridOf } from './results/read-labels.ts';
import type { ModelTensors } from './tensor-reader.ts';

type Outputs = Pick<Manifest, 'outputs' | 'findings'>;
type Where = Pick<ModelTensors, 'place' | 'frames'>;

/** Keeps what DICOM objects of a result are made of: the instances that were looked at, and masks on their pixels. */
@Injectable()
export class EvidenceKeeper {
  constructor(
    private readonly workers: PixelWorkers,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'PACS_OBJECTS'>,
  ) {}

  /** Masks are only kept for a Segmentation. */
  get keepsMasks(): boolean {
    return this.settings.PACS_OBJECTS.includes('seg') && !this.settings.PACS_OBJECTS.includes('none');
  }

  /**
   * Null where the site wants nothing of Prelim in its PACS. `pictures`: segmentations as they are kept. Throws `inference.output-invalid` for a mask
   * that is none.
   */
  async gather(
    { seriesInstanceUid, sopInstanceUids }: Pick<GatePassed, 'seriesInstanceUid' | 'sopInstanceUids'>,
    manifest: Outputs,
    results: Readonly<Record<string, OutputTensor>>,
    { place, frames }: Where,
    pictures: PictureResults = {},
  ): Promise<AnalysisEvidence | null> {
    if (this.settings.PACS_OBJECTS.includes('none')) return null;
    const [, rows, columns] = place.source;
    const masks: KeptMask[] = [];
    const notKept: { label: string; why: string }[] = [];
    let bytes = 0;
    const keep = ({ runs, present }: EncodedMask, meaning: KeptMask['meaning'], label: string) => {
      bytes += runs.byteLength;
      if (runs.byteLength > MASK_BYTES_MAX || bytes > MASKS_BYTES_MAX) {
        notKept.push({ label, why: TOO_LARGE });
        return;
      }
      const text = Buffer.from(runs.buffer, runs.byteOffset, runs.byteLength).toString('base64');
      masks.push({ label, rows, columns, meaning, present, runs: text });
    };
    for (const output of this.keepsMasks ? manifest.outputs : []) {
      if (output.kind === 'segmentation') {
        const { labels } = output;
        for (const mask of pictures[output.name]?.kept ?? [])
          keep(mask, { kind: 'labels', labels }, labels.filter((one) => one !== '').join(', '));
      } else if (output.kind === 'mask' && results[output.name])
        keep(await this.encode(output.name, results[output.name]!, place), { kind: 'region' }, output.label);
    }
    const shows = labelsMeasured(manifest);
    const stacked = stackedFrames(frames);
    return {
      ...{ schema: 'analysis-evidence/1', seriesInstanceUid, sopInstanceUids, masks, notKept },
      ...(stacked ? { frames: stacked } : {}),
      ...(masks.length > 0 && Object.keys(shows).length > 0 ? { shows } : {}),
    };
  }

  /** As a resource, to be written with the result. */
  binary(evidence: AnalysisEvidence, inferred: Inferred): Binary & { id: string } {
    return {
      resourceType: 'Binary',
      id: evidenceId(inferred.studyInstanceUid, inferred.model, inferred.inputsDigest),
      contentType: EVIDENCE_MEDIA_TYPE,
      securityContext: { reference: `ImagingStudy/${inferred.imagingStudyId}` },
      data: Buffer.from(JSON.stringify(evidence)).toString('base64'),
    };
  }

  private encode(name: string, tensor: OutputTensor, place: ModelTensors['place']): Promise<EncodedMask> {
    const dims = gridOf({ name }, tensor, 1, place.isVolume);
    if (dims[0] * dims[1] * dims[2] !== tensor.data.length)
      throw new Failure(
        'inference.output-invalid',
        `The mask "${name}" has not the values that its shape says.`,
      );
    const { extent, source, toSource } = place;
    const args: MaskOnGrid = { mask: tensor.data, dims, extent, source, toSource };
    return this.workers.run<EncodedMask>(MASK_MODULE, 'encodeMaskOnSource', args, {
      timeoutMs: ENCODE_TIME_LIMIT_MS,
    });
  }
}

const TOO_LARGE = `a mask takes at most ${MASK_BYTES_MAX} bytes, and all of them ${MASKS_BYTES_MAX}`;

/** 3,000 slices take ten seconds. */
export const ENCODE_TIME_LIMIT_MS = 60_000;

const MASK_MODULE = new URL(
  `./encode-mask${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

/** Findings that are the size of a label of a segmentation. */
function labelsMeasured({ outputs, findings }: Outputs): Record<string, string> {
  const segmentations = new Set(outputs.flatMap((one) => (one.kind === 'segmentation' ? [one.name] : [])));
  return Object.fromEntries(
    findings.flatMap((rule) =>
      'measures' in rule && rule.of !== undefined && segmentations.has(rule.measures)
        ? [[rule.key, rule.of]]
        : [],
    ),
  );
}

/** Null where slice n is the only frame of instance n. */
function stackedFrames(frames: ModelTensors['frames']): (readonly [number, number])[] | null {
  const plain = frames.every(({ file, frame }, slice) => file === slice && frame === 1);
  return plain ? null : frames.map(({ file, frame }) => [file, frame] as const);
}
