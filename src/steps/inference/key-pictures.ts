import type { Binary } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import type { ModelOutput } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Inferred } from '../../kernel/handoffs.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { KeyPicture, KeyPictureArgs } from './draw-key-picture.ts';
import { type OutputTensor, valuesIn } from './engines/engine.ts';
import type { ModelTensors } from './tensor-reader.ts';

/** Draws the picture of a result on a pixel worker, and keeps it. */
@Injectable()
export class KeyPictures {
  constructor(
    private readonly workers: PixelWorkers,
    private readonly store: ResourceStore,
  ) {}

  /**
   * A mask is drawn on the slice that has most of it; without one a single image is shown; a volume without a mask gives no picture.
   * Throws `inference.output-invalid` when the mask is not of the image's size.
   */
  async draw(
    outputs: readonly ModelOutput[],
    results: Readonly<Record<string, OutputTensor>>,
    tensors: Pick<ModelTensors, 'image' | 'preview'>,
  ): Promise<KeyPicture | null> {
    const args = pictureOf(outputs, results, tensors);
    if (!args) return null;
    return this.workers.run<KeyPicture>(PICTURE_MODULE, 'drawKeyPicture', args, {
      timeoutMs: DRAW_TIME_LIMIT_MS,
    });
  }

  /**
   * Keeps the picture as Binary and gives its id, which follows from study, model and inputs: the picture of an earlier version of the report
   * stays what it was.
   */
  async keep(tx: Transaction, picture: KeyPicture, inferred: Inferred): Promise<string> {
    const id = stableId('picture', inferred.studyInstanceUid, inferred.model, inferred.inputsDigest);
    const binary: Binary & { id: string } = {
      resourceType: 'Binary',
      id,
      contentType: 'image/png',
      securityContext: { reference: `ImagingStudy/${inferred.imagingStudyId}` },
      data: Buffer.from(picture.png.buffer, picture.png.byteOffset, picture.png.byteLength).toString(
        'base64',
      ),
    };
    await this.store.write(tx, [{ kind: 'update', resource: binary, unchanged: 'skip' }]);
    return id;
  }
}

/** A picture takes a tenth of a second; a thousand slices of mask are looked through in one. */
export const DRAW_TIME_LIMIT_MS = 30_000;

const PICTURE_MODULE = new URL(
  `./draw-key-picture${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

function pictureOf(
  outputs: readonly ModelOutput[],
  results: Readonly<Record<string, OutputTensor>>,
  { image, preview }: Pick<ModelTensors, 'image' | 'preview'>,
): KeyPictureArgs | null {
  const declared = outputs.find((output) => output.kind === 'mask');
  const mask = declared && results[declared.name];
  if (!mask) return preview && { kind: 'preview', preview };
  const [slices, rows, columns] = image.dims.slice(-3);
  const isVolume = image.dims.slice(0, -3).every((size) => size === 1);
  if (
    !isVolume ||
    slices === undefined ||
    rows === undefined ||
    columns === undefined ||
    mask.data.length !== valuesIn(image.dims)
  ) {
    throw new Failure(
      'inference.output-invalid',
      `The mask "${declared.name}" has not as many voxels as the image.`,
    );
  }
  return {
    kind: 'mask',
    image: { dtype: image.dtype, bytes: image.bytes },
    mask: mask.data,
    dims: [slices, rows, columns],
  };
}
