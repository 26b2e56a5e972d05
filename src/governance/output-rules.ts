import type { FailureIssue } from '../kernel/errors.ts';
import type { DetectionOutput, FindingRule, Manifest, ModelOutput, SegmentationOutput } from './manifest.ts';

/** Outputs, and findings made of them, whose parts do not go together: by their place in the manifest. */
export function combinedOutputFaults(
  manifest: Pick<Manifest, 'inputs' | 'outputs' | 'findings'>,
): FailureIssue[] {
  const layout = manifest.inputs.find((input) => input.gives === 'image')?.layout;
  const isVolume = layout === 'DHW' || layout === 'NCDHW';
  return [
    ...manifest.outputs.flatMap((output, i) => named(outputTexts(output, isVolume), `/outputs/${i}`)),
    ...manifest.findings.flatMap((finding, i) =>
      named(findingTexts(finding, manifest.outputs, isVolume), `/findings/${i}`),
    ),
  ];
}

const named = (texts: readonly string[], at: string): FailureIssue[] => texts.map((text) => ({ at, text }));

function outputTexts(output: ModelOutput, isVolume: boolean): string[] {
  if (output.kind === 'detection') return detectionTexts(output, isVolume);
  if (output.kind === 'segmentation') return segmentationTexts(output);
  if (output.kind !== 'classification' || output.op_norm === undefined) return [];
  const { op_norm, labels, activation, gives } = output;
  return [
    ...(op_norm.length === labels.length
      ? []
      : [`op_norm has ${op_norm.length} numbers for ${labels.length} labels`]),
    ...(activation === 'softmax'
      ? ['op_norm moves the operating point of each label alone; softmax shares one among all']
      : []),
    ...(gives === 'logits' && activation === 'none'
      ? ['op_norm is for probabilities: logits need sigmoid before']
      : []),
  ];
}

function detectionTexts(output: DetectionOutput, isVolume: boolean): string[] {
  const deep = output.form === 'xyzxyz' || output.form === 'cxcyczwhd';
  const sides = deep ? 6 : 4;
  const columns = [output.scores, output.classes].filter((where) => where !== undefined);
  return [
    ...(deep === isVolume
      ? []
      : [
          `${output.form} is a form for ${deep ? 'volumes' : 'images'}, and the input takes ${isVolume ? 'a volume' : 'an image'}`,
        ]),
    ...(columns.some((where) => 'column' in where && where.column < sides)
      ? [`columns 0 to ${sides - 1} are the box; scores and classes come after`]
      : []),
    ...doubledLabels(output.labels),
  ];
}

function segmentationTexts(output: SegmentationOutput): string[] {
  const { decode, threshold, activation, labels } = output;
  return [
    ...(decode === 'threshold' && threshold === undefined ? ['decode threshold needs a threshold'] : []),
    ...(decode !== 'threshold' && threshold !== undefined
      ? [`threshold has no meaning with decode ${decode}`]
      : []),
    ...(decode !== 'threshold' && activation === 'sigmoid'
      ? [`activation has no meaning with decode ${decode}`]
      : []),
    ...(activation === 'sigmoid' && threshold !== undefined && (threshold <= 0 || threshold >= 1)
      ? ['after a sigmoid the threshold lies between 0 and 1']
      : []),
    ...(decode === 'argmax' && labels.length < 2
      ? ['argmax needs at least two channels; name the background with ""']
      : []),
    ...(labels.length > 255 ? ['more than 255 labels'] : []),
    ...doubledLabels(labels),
  ];
}

function doubledLabels(labels: readonly string[]): string[] {
  const told = labels.filter((label) => label !== '');
  return new Set(told).size === told.length ? [] : ['a label is there twice'];
}

function findingTexts(finding: FindingRule, outputs: readonly ModelOutput[], isVolume: boolean): string[] {
  const output = (name: string) => outputs.find((one) => one.name === name);
  if ('measures' in finding) return measureTexts(finding, output(finding.measures), isVolume);
  const texts: string[] = [];
  const source = output(finding.from.output);
  if (source?.kind === 'classification' && source.op_norm && !finding.untrained) {
    const at = source.labels.indexOf(finding.from.label);
    if (source.op_norm[at] === null)
      texts.push('this label was not trained (its op_norm is null): say untrained');
  }
  if (finding.from.label === '') texts.push('an empty label means nothing');
  if (source?.kind === 'detection') {
    const lowest = finding.threshold.indeterminate ?? finding.threshold.positive;
    if (lowest < source.score_min)
      texts.push(
        `the threshold ${lowest} is below score_min ${source.score_min}: such boxes are dropped before`,
      );
  }
  if (finding.shown_by !== undefined && output(finding.shown_by)?.kind !== 'heat_map')
    texts.push('shown_by names no heat map output of this manifest');
  return texts;
}

function measureTexts(
  finding: Extract<FindingRule, { measures: string }>,
  output: ModelOutput | undefined,
  isVolume: boolean,
): string[] {
  const texts: string[] = [];
  if (output?.kind === 'segmentation') {
    const unit = isVolume ? 'mL' : 'mm2';
    if (finding.of === undefined || finding.of === '' || !output.labels.includes(finding.of))
      texts.push('of must name a label of the segmentation');
    if (finding.unit !== unit)
      texts.push(`a region of ${isVolume ? 'a volume' : 'an image'} is measured in ${unit}`);
  } else if (finding.of !== undefined) texts.push('of is for segmentations');
  if (
    finding.indeterminate_from !== undefined &&
    (finding.abnormal_from === undefined || finding.indeterminate_from > finding.abnormal_from)
  )
    texts.push('indeterminate_from must not be above abnormal_from, and needs it');
  return texts;
}
