import { jsonNumber, jsonString, jsonStrings } from '../../dicom/json-values.ts';
import { isLocalizerImage } from '../../dicom/split-frames.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { GATE_RULES } from '../../governance/gate-rules.ts';
import type { Manifest } from '../../governance/manifest.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';
import { type GateContext, NO_CONTEXT } from './gate-rule.ts';
import { type Judgement, judgeImages } from './judge-images.ts';
import { viewOf } from './rules/view.ts';
import { instanceNumberOf, slicesOf, stackOf } from './stack.ts';

export type SeriesChoice =
  | {
      readonly kind: 'passed';
      readonly seriesInstanceUid: string;
      /** In the order in which the pixels are stacked. */
      readonly sopInstanceUids: readonly string[];
      readonly warnings: readonly GateVerdict[];
    }
  | {
      readonly kind: 'refused';
      /** The one that came nearest; null: the study holds no images. */
      readonly seriesInstanceUid: string | null;
      readonly refusals: readonly GateVerdict[];
      readonly warnings: readonly GateVerdict[];
    };

/**
 * The best of what a study offers to a model: whole series where the model takes volumes, single images elsewhere (a chest series
 * holds a frontal and a lateral). Among those that fit: the preferred view and kernel, fewer warnings, more slices, thinner
 * ones. When none fits, the refusal is that of the nearest: the one that came furthest through the rules.
 */
export function chooseSeries(
  instances: readonly DicomJson[],
  manifest: Manifest,
  context: GateContext = NO_CONTEXT,
): SeriesChoice {
  const candidates = (takesVolume(manifest) ? wholeSeries(instances) : singleImages(instances)).map(
    (candidate) => judged(candidate, manifest, context),
  );
  const best = candidates.filter(({ refusals }) => refusals.length === 0).sort(byPreference(manifest))[0];
  if (best !== undefined) {
    return {
      kind: 'passed',
      seriesInstanceUid: seriesOf(best.images[0]),
      sopInstanceUids: best.images.map(sopInstanceOf),
      warnings: best.warnings,
    };
  }
  const nearest = candidates.sort(byNearness)[0];
  if (nearest !== undefined)
    return {
      kind: 'refused',
      seriesInstanceUid: seriesOf(nearest.images[0]),
      refusals: nearest.refusals,
      warnings: nearest.warnings,
    };
  const refusal: GateVerdict = {
    rule: 'images',
    observed: 'no images',
    required: manifest.fits.modality.join(' or '),
  };
  return { kind: 'refused', seriesInstanceUid: null, refusals: [refusal], warnings: [] };
}

interface Candidate {
  readonly images: readonly DicomJson[];
  readonly warnings: readonly GateVerdict[];
}

/** With what the rules looked at: the images, or the frames of an enhanced object. */
type Judged = Candidate & Judgement & { readonly looked: readonly DicomJson[] };

const takesVolume = ({ inputs }: Manifest) =>
  inputs.some(({ gives, layout }) => gives === 'image' && (layout === 'DHW' || layout === 'NCDHW'));

/** Images have rows; reports, key objects and presentation states have none. An instance sent twice counts once. */
function imagesOf(instances: readonly DicomJson[]): readonly DicomJson[] {
  const byUid = new Map<string, DicomJson>();
  for (const instance of instances) {
    const uid = sopInstanceOf(instance);
    if (uid !== '' && seriesOf(instance) !== '' && (jsonNumber(instance, '00280010') ?? 0) > 0)
      byUid.set(uid, instance);
  }
  return [...byUid.values()].sort((a, b) => instanceNumberOf(a) - instanceNumberOf(b));
}

function singleImages(instances: readonly DicomJson[]): readonly Candidate[] {
  return imagesOf(instances).map((image) => ({ images: [image], warnings: [] }));
}

function wholeSeries(instances: readonly DicomJson[]): readonly Candidate[] {
  const bySeries = Map.groupBy(imagesOf(instances), seriesOf);
  return [...bySeries.values()].map((all) => {
    const slices = all.filter((image) => !isLocalizerImage(image));
    const mixed = slices.length > 0 && slices.length < all.length;
    const images = mixed ? slices : all;
    const left = `${all.length - slices.length} localizers in the series, left out`;
    const warnings = mixed ? [{ rule: 'localizer', observed: left, required: 'slices only' }] : [];
    return { images: stackOf(images)?.images ?? images, warnings };
  });
}

function judged(candidate: Candidate, manifest: Manifest, context: GateContext): Judged {
  const looked = takesVolume(manifest) ? slicesOf(candidate.images) : candidate.images;
  const { refusals, warnings } = judgeImages(looked, manifest, context);
  return { images: candidate.images, looked, refusals, warnings: [...candidate.warnings, ...warnings] };
}

function byPreference(manifest: Manifest): (a: Judged, b: Judged) => number {
  const { view = [], kernel_prefer: kernels = [] } = manifest.fits;
  const rank = ({ looked, warnings }: Judged): readonly number[] => [
    indexOrEnd(view, (wanted) => viewOf(looked[0] ?? {}) === wanted),
    indexOrEnd(kernels, (wanted) => kernelOf(looked[0]).includes(wanted.toUpperCase())),
    warnings.length,
    -looked.length,
    jsonNumber(looked[0] ?? {}, '00180050') ?? Infinity,
  ];
  return (a, b) =>
    compareRanks(rank(a), rank(b)) || compareText(sopInstanceOf(a.images[0]), sopInstanceOf(b.images[0]));
}

function byNearness(a: Judged, b: Judged): number {
  const rank = ({ refusals, looked }: Judged): readonly number[] => [
    -GATE_RULES.indexOf(refusals[0]?.rule as (typeof GATE_RULES)[number]),
    refusals.length,
    -looked.length,
  ];
  return (
    compareRanks(rank(a), rank(b)) || compareText(sopInstanceOf(a.images[0]), sopInstanceOf(b.images[0]))
  );
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i < 0 ? 0 : (a[i] ?? 0) < (b[i] ?? 0) ? -1 : 1;
}

function indexOrEnd(list: readonly string[], matches: (entry: string) => boolean): number {
  const found = list.findIndex(matches);
  return found < 0 ? list.length : found;
}

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const seriesOf = (image: DicomJson | undefined) => jsonString(image ?? {}, '0020000E') ?? '';
const sopInstanceOf = (image: DicomJson | undefined) => jsonString(image ?? {}, '00080018') ?? '';
const kernelOf = (image: DicomJson | undefined) =>
  jsonStrings(image ?? {}, '00181210')
    .join(' ')
    .toUpperCase();
