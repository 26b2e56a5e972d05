import type { Binary } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { ModelOutput } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Inferred } from '../../kernel/handoffs.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { KeyPicture, KeyPictureArgs } from './draw-key-picture.ts';
import { type OutputTensor, valuesIn } from './engines/engine.ts';
import { isPicture, outputNames, type PictureResults } from './result-pictures.ts';
import type { ModelTensors } from './tensor-reader.ts';

/** Draws the picture of a result on a pixel worker. */
@Injectable()
export class KeyPictures {
  constructor(private readonly workers: PixelWorkers) {}

  /**
   * A mask is drawn on the slice that has most of it; without one a single image is shown; a volume without a mask gives no picture.
   * Throws `inference.output-invalid` when the mask is not of the image's size.
   */
  async draw(
    outputs: readonly ModelOutput[],
    results: Readonly<Record<string, OutputTensor>>,
    tensors: Pick<ModelTensors, 'image' | 'preview'> & Partial<Pick<ModelTensors, 'place'>>,
    pictures: PictureResults = {},
  ): Promise<KeyPicture | null> {
    const args = regionPictureOf(tensors, pictures) ?? pictureOf(outputs, results, tensors);
    if (!args) return null;
    return this.workers.run<KeyPicture>(PICTURE_MODULE, 'drawKeyPicture', args, {
      timeoutMs: DRAW_TIME_LIMIT_MS,
    });
  }

  /** Outputs that are pictures, read back to the stored images on a pixel worker; nothing is done where there is none. `keepMasks`: see `EvidenceKeeper`. */
  async read(
    outputs: readonly ModelOutput[],
    results: Readonly<Record<string, OutputTensor>>,
    { place }: Pick<ModelTensors, 'place'>,
    keepMasks = false,
  ): Promise<PictureResults> {
    const pictures = outputs.filter(isPicture);
    if (pictures.length === 0) return {};
    const wanted = outputNames(pictures).flatMap((name) => (results[name] ? [[name, results[name]]] : []));
    const args = { outputs: pictures, results: Object.fromEntries(wanted), place, keepMasks };
    return this.workers.run<PictureResults>(RESULTS_MODULE, 'readResults', args, {
      timeoutMs: READ_RESULTS_TIME_LIMIT_MS,
    });
  }

  /**
   * The picture as Binary, to be written with the result. Its id follows from study, model and inputs: the picture of an earlier version of
   * the report stays what it was.
   */
  binary(picture: KeyPicture, inferred: Inferred): Binary & { id: string } {
    return {
      resourceType: 'Binary',
      id: stableId('picture', inferred.studyInstanceUid, inferred.model, inferred.inputsDigest),
      contentType: 'image/png',
      securityContext: { reference: `ImagingStudy/${inferred.imagingStudyId}` },
      data: Buffer.from(picture.png.buffer, picture.png.byteOffset, picture.png.byteLength).toString(
        'base64',
      ),
    };
  }
}

/** Regions that are outlined, best first; more would hide what they are about. */
const OUTLINES_MAX = 10;

/** The slice of the best region, with all that were found there; null without an output that has regions. */
function regionPictureOf(
  { image, preview, place }: Pick<ModelTensors, 'image' | 'preview'> & Partial<Pick<ModelTensors, 'place'>>,
  pictures: PictureResults,
): KeyPictureArgs | null {
  const results = Object.values(pictures);
  if (results.length === 0 || !place) return null;
  const regions = results.flatMap((result) => result.regions);
  const slice = regions[0]?.slice ?? Math.floor(place.source[0] / 2);
  const outlines = regions
    .filter((region) => region.slice === slice)
    .slice(0, OUTLINES_MAX)
    .map(
      ({ polygon, box: [left, top, right, bottom] }) =>
        polygon ?? [left, top, right, top, right, bottom, left, bottom],
    );
  if (!place.isVolume) return preview && { kind: 'preview', preview, outlines };
  const mask = results.find((result) => result.mask)?.mask;
  const size = place.source[1] * place.source[2];
  return {
    ...{ kind: 'slice', place, slice, outlines },
    image: { dtype: image.dtype, bytes: image.bytes },
    mask: mask ? mask.slice(slice * size, (slice + 1) * size) : null,
  };
}

/** A picture takes a tenth of a second; a thousand slices of mask are looked through in one. */
export const DRAW_TIME_LIMIT_MS = 30_000;

/** A segmentation of 3,000 slices takes ten seconds. */
export const READ_RESULTS_TIME_LIMIT_MS = 120_000;

const RESULTS_MODULE = new URL(
  `./read-results.task${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

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
