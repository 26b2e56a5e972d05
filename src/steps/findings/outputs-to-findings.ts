import type { DetectionOutput, FindingRule, Manifest, ModelOutput } from '../../governance/manifest.ts';
import type { Finding, GateVerdict, Inferred, Presence, SmallTensor } from '../../kernel/handoffs.ts';
import { withLocations } from './locate-finding.ts';

export type FindingsOrRefusal =
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] }
  /** The numbers mean nothing, so none is shown. */
  | { readonly kind: 'refused'; readonly refusals: readonly GateVerdict[] };

/**
 * Turns a model's raw outputs into findings by its manifest: activation (never twice: only what the manifest says is applied),
 * thresholds into present, indeterminate or absent, measurements rounded and held against their plausible range. Findings come
 * in the order of the manifest, without codes. An untrained head is never reported. `regions`: what boxes, masks and heat maps showed, on the
 * stored images; a finding that is there carries those that are its own.
 */
export function outputsToFindings(
  manifest: Manifest,
  outputs: Readonly<Record<string, SmallTensor>>,
  regions: NonNullable<Inferred['regions']> = {},
): FindingsOrRefusal {
  const findings: Finding[] = [];
  const refusals: GateVerdict[] = [];
  const scores = new Map<string, Scores>();
  for (const output of manifest.outputs) {
    if (output.kind === 'classification' || output.kind === 'detection')
      scores.set(output.name, toScores(output, outputs[output.name]));
  }
  for (const rule of manifest.findings) {
    if ('from' in rule && rule.untrained) continue;
    const finding =
      'measures' in rule
        ? toMeasurement(rule, measured(rule, manifest.outputs, outputs[rule.measures]))
        : toPresence(rule, scores.get(rule.from.output));
    if ('rule' in finding) refusals.push(finding);
    else findings.push(withLocations(finding, rule, regions));
  }
  if (refusals.length === 0) return { kind: 'findings', findings };
  const once = new Map(refusals.map((refusal) => [refusal.observed, refusal]));
  return { kind: 'refused', refusals: [...once.values()] };
}

/** Of a detection there is one number per label, the best score of its boxes. */
type Classification = Extract<ModelOutput, { kind: 'classification' }> | DetectionOutput;
type PresenceRule = Extract<FindingRule, { from: object }>;
type MeasurementRule = Extract<FindingRule, { measures: string }>;

/** Score per label, or why there is none. */
type Scores = ReadonlyMap<string, number> | GateVerdict;

const implausible = (observed: string, required: string): GateVerdict => ({
  rule: 'implausible-output',
  observed,
  required,
});

/** Rounding in a softmax of the graph; more than this outside 0 to 1 is no probability. */
const PROBABILITY_TOLERANCE = 1e-3;

function toScores(output: Classification, tensor: SmallTensor | undefined): Scores {
  const { name, labels } = output;
  const needed = `${labels.length} finite numbers`;
  if (tensor === undefined) return implausible(`no output ${name}`, needed);
  if (tensor.data.length !== labels.length)
    return implausible(`${tensor.data.length} numbers in ${name}`, needed);
  if (!tensor.data.every(Number.isFinite))
    return implausible(`a number in ${name} that is not finite`, needed);
  // The scores of boxes went through their activation before boxes were chosen.
  const scores = output.kind === 'detection' ? tensor.data : activate(tensor.data, output.activation);
  const outside = scores.some((score) => score < -PROBABILITY_TOLERANCE || score > 1 + PROBABILITY_TOLERANCE);
  if (outside) return implausible(`a number in ${name} outside 0 to 1`, 'probabilities from 0 to 1');
  const points = output.kind === 'detection' ? undefined : output.op_norm;
  return new Map(
    labels.flatMap((label, i) => {
      const score = Math.min(1, Math.max(0, scores[i] ?? 0));
      if (points === undefined) return [[label, score] as const];
      const point = points[i];
      // A label that was not trained has no operating point: no number stands for it, not even a half.
      return point ? [[label, opNorm(score, point)] as const] : [];
    }),
  );
}

/** Moves the operating point to 0.5, linearly on either side: `op_norm` of torchxrayvision. */
const opNorm = (score: number, point: number): number =>
  score < point ? score / (2 * point) : 1 - (1 - score) / (2 * (1 - point));

/** The largest logit is taken off first, so that no exponential overflows. */
function activate(values: readonly number[], activation: Classification['activation']): readonly number[] {
  if (activation === 'none') return values;
  if (activation === 'sigmoid') return values.map((value) => 1 / (1 + Math.exp(-value)));
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function toPresence(rule: PresenceRule, scores: Scores | undefined): Finding | GateVerdict {
  if (scores !== undefined && 'rule' in scores) return scores;
  const score = scores?.get(rule.from.label);
  if (score === undefined) return implausible(`no number for ${rule.key}`, `the label ${rule.from.label}`);
  const presence = presenceOf(score, rule.threshold);
  return {
    key: rule.key,
    label: rule.label,
    kind: 'presence',
    presence,
    score,
    threshold: rule.threshold.positive,
    value: null,
    unit: null,
    codes: [],
    actionable: presence === 'present' ? (rule.actionable ?? null) : null,
  };
}

function presenceOf(
  score: number,
  { positive, indeterminate }: { readonly positive: number; readonly indeterminate?: number | undefined },
): Presence {
  if (score >= positive) return 'present';
  return indeterminate !== undefined && score >= indeterminate ? 'indeterminate' : 'absent';
}

/** The number of a measurement output, or the size of its label in a segmentation. */
function measured(
  rule: MeasurementRule,
  outputs: readonly ModelOutput[],
  tensor: SmallTensor | undefined,
): SmallTensor | undefined {
  const output = outputs.find(({ name }) => name === rule.measures);
  if (output?.kind !== 'segmentation') return tensor;
  const size = tensor?.data[output.labels.indexOf(rule.of ?? '')];
  return size === undefined ? undefined : { dims: [1], data: [size] };
}

/** The rounded value is the one that is compared: what a reader sees and what is flagged must not contradict. */
function toMeasurement(rule: MeasurementRule, tensor: SmallTensor | undefined): Finding | GateVerdict {
  const { min, max } = rule.plausible;
  const required = `${rule.key} from ${min} to ${max} ${rule.unit}`;
  const raw = tensor?.data.length === 1 ? tensor.data[0] : undefined;
  if (raw === undefined)
    return implausible(`${tensor?.data.length ?? 0} numbers for ${rule.key}`, 'one number');
  if (!Number.isFinite(raw)) return implausible(`${rule.key} that is not finite`, required);
  const value = Number(raw.toFixed(rule.decimals));
  if (value < min || value > max) return implausible(`${rule.key} of ${value} ${rule.unit}`, required);
  const presence =
    rule.abnormal_from === undefined
      ? null
      : presenceOf(value, { positive: rule.abnormal_from, indeterminate: rule.indeterminate_from });
  return {
    key: rule.key,
    label: rule.label,
    kind: 'measurement',
    presence,
    score: null,
    threshold: rule.abnormal_from ?? null,
    value,
    unit: rule.unit,
    codes: [],
    actionable: presence === 'present' ? (rule.actionable ?? null) : null,
  };
}
