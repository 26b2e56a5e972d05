import { Injectable } from '@nestjs/common';
import type { Sql } from '../../database/database.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { ModelOutput } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import { KeptFileStore } from '../../queue/kept-file.store.ts';
import type { KeyPicture, KeyPictureArgs } from './draw-key-picture.ts';
import { type OutputTensor, valuesIn } from './engines/engine.ts';
import type { ModelTensors } from './tensor-reader.ts';

/** Draws the picture of a result on a pixel worker, and keeps it for the steps after. */
@Injectable()
export class KeyPictures {
  constructor(
    private readonly workers: PixelWorkers,
    private readonly files: KeptFileStore,
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

  /** Keeps the picture and gives its id. */
  keep(sql: Sql, picture: KeyPicture): Promise<string> {
    return this.files.keep(sql, picture.png, 'image/png');
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
