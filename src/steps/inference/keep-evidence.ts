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
} from '../../governance/analysis-evidence.ts';
import type { Manifest, PixelOp } from '../../governance/manifest.ts';
import type { GatePassed, Inferred } from '../../kernel/handoffs.ts';
import type { EncodedMask } from './encode-mask.ts';
import { type OutputTensor, valuesIn } from './engines/engine.ts';
import type { PictureResults } from './result-pictures.ts';
import type { ModelTensors } from './tensor-reader.ts';

/** Keeps what DICOM objects of a result are made of: the instances that were looked at, and masks in their own geometry. */
@Injectable()
export class EvidenceKeeper {
  constructor(
    private readonly workers: PixelWorkers,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'PACS_OBJECTS'>,
  ) {}

  /** Null where the site wants nothing of Prelim in its PACS. Masks are only kept for a Segmentation. */
  async gather(
    { seriesInstanceUid, sopInstanceUids }: GatePassed,
    manifest: Pick<Manifest, 'outputs' | 'pixels'>,
    results: Readonly<Record<string, OutputTensor>>,
    tensors: Pick<ModelTensors, 'image' | 'place'>,
    pictures: PictureResults = {},
  ): Promise<AnalysisEvidence | null> {
    const wanted = this.settings.PACS_OBJECTS;
    if (wanted.includes('none')) return null;
    const masks: KeptMask[] = [];
    const notKept: { label: string; why: string }[] = [];
    for (const output of wanted.includes('seg') ? manifest.outputs : []) {
      const result = results[output.name];
      const labels = pictures[output.name]?.mask;
      if (output.kind === 'segmentation' && labels) {
        const mask = await this.encodeLabels(
          output.labels,
          labels,
          tensors.place.source,
          sopInstanceUids.length,
        );
        if ('why' in mask) notKept.push(mask);
        else masks.push(mask);
      }
      if (output.kind !== 'mask' || !result) continue;
      const mask = await this.encode(output.label, result, manifest, tensors, sopInstanceUids.length);
      if ('why' in mask) notKept.push(mask);
      else masks.push(mask);
    }
    return { schema: 'analysis-evidence/1', seriesInstanceUid, sopInstanceUids, masks, notKept };
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

  /** A segmentation, which is on the pixels of the stored images already. */
  private async encodeLabels(
    labels: readonly string[],
    mask: Uint8Array,
    [slices, rows, columns]: readonly [number, number, number],
    instances: number,
  ): Promise<KeptMask | { label: string; why: string }> {
    const label = labels.filter((one) => one !== '').join(', ');
    if (slices !== instances) return { label, why: 'the images are frames of one instance' };
    const { runs, present } = await this.workers.run<EncodedMask>(MASK_MODULE, 'encodeMask', mask, {
      timeoutMs: ENCODE_TIME_LIMIT_MS,
    });
    if (runs.byteLength > MASK_BYTES_MAX)
      return { label, why: `the mask takes more than ${MASK_BYTES_MAX} bytes` };
    const text = Buffer.from(runs.buffer, runs.byteOffset, runs.byteLength).toString('base64');
    return { label, rows, columns, meaning: { kind: 'labels', labels }, present, runs: text };
  }

  private async encode(
    label: string,
    mask: OutputTensor,
    manifest: Pick<Manifest, 'pixels'>,
    { image }: Pick<ModelTensors, 'image'>,
    instances: number,
  ): Promise<KeptMask | { label: string; why: string }> {
    const [slices = 0, rows = 0, columns = 0] = image.dims.slice(-3);
    const fits = slices === instances && mask.data.length === valuesIn(image.dims);
    if (!fits || !manifest.pixels.every(keepsGeometry))
      return { label, why: 'the mask is not on the pixels of the stored images' };
    const { runs, present } = await this.workers.run<EncodedMask>(MASK_MODULE, 'encodeMask', mask.data, {
      timeoutMs: ENCODE_TIME_LIMIT_MS,
    });
    if (runs.byteLength > MASK_BYTES_MAX)
      return { label, why: `the mask takes more than ${MASK_BYTES_MAX} bytes` };
    const text = Buffer.from(runs.buffer, runs.byteOffset, runs.byteLength).toString('base64');
    return { label, rows, columns, meaning: { kind: 'region' }, present, runs: text };
  }
}

/** 3,000 slices take ten seconds. */
export const ENCODE_TIME_LIMIT_MS = 60_000;

const MASK_MODULE = new URL(
  `./encode-mask${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

/** Operations that change values and leave every pixel where it is. */
const VALUE_OPS: ReadonlySet<PixelOp['op'] | string> = new Set([
  'stored_values',
  'modality_values',
  'invert_if_monochrome1',
  'scale',
  'to_8bit',
  'normalise',
  'clip',
  'window',
  'z_score',
  'percentile_clip',
  'channels',
]);

const keepsGeometry = ({ op }: PixelOp): boolean => VALUE_OPS.has(op);
