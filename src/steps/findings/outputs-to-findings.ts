import type { FindingRule, Manifest, ModelOutput } from '../../governance/manifest.ts';
import type { Finding, GateVerdict, Presence, SmallTensor } from '../../kernel/handoffs.ts';

export type FindingsOrRefusal =
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] }
  /** The numbers mean nothing, so none is shown. */
  | { readonly kind: 'refused'; readonly refusals: readonly GateVerdict[] };

/**
 * Turns a model's raw outputs into findings by its manifest: activation (never twice: only what the manifest says is applied),
 * thresholds into present, indeterminate or absent, measurements rounded and held against their plausible range. Findings come
 * in the order of the manifest, without codes. An untrained head is never reported.
 */
export function outputsToFindings(
  manifest: Manifest,
  outputs: Readonly<Record<string, SmallTensor>>,
): FindingsOrRefusal {
  const findings: Finding[] = [];
  const refusals: GateVerdict[] = [];
  const scores = new Map<string, Scores>();
  for (const output of manifest.outputs) {
    if (output.kind === 'classification') scores.set(output.name, toScores(output, outputs[output.name]));
  }
  for (const rule of manifest.findings) {
    if ('from' in rule && rule.untrained) continue;
    const finding =
      'measures' in rule
        ? toMeasurement(rule, outputs[rule.measures])
        : toPresence(rule, scores.get(rule.from.output));
    if ('rule' in finding) refusals.push(finding);
    else findings.push(finding);
  }
  if (refusals.length === 0) return { kind: 'findings', findings };
  const once = new Map(refusals.map((refusal) => [refusal.observed, refusal]));
  return { kind: 'refused', refusals: [...once.values()] };
}

type Classification = Extract<ModelOutput, { kind: 'classification' }>;
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

function toScores({ name, labels, activation }: Classification, tensor: SmallTensor | undefined): Scores {
  const needed = `${labels.length} finite numbers`;
  if (tensor === undefined) return implausible(`no output ${name}`, needed);
  if (tensor.data.length !== labels.length)
    return implausible(`${tensor.data.length} numbers in ${name}`, needed);
  if (!tensor.data.every(Number.isFinite))
    return implausible(`a number in ${name} that is not finite`, needed);
  const scores = activate(tensor.data, activation);
  const outside = scores.some((score) => score < -PROBABILITY_TOLERANCE || score > 1 + PROBABILITY_TOLERANCE);
  if (outside) return implausible(`a number in ${name} outside 0 to 1`, 'probabilities from 0 to 1');
  return new Map(labels.map((label, i) => [label, Math.min(1, Math.max(0, scores[i] ?? 0))]));
}

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

function presenceOf(score: number, { positive, indeterminate }: PresenceRule['threshold']): Presence {
  if (score >= positive) return 'present';
  return indeterminate !== undefined && score >= indeterminate ? 'indeterminate' : 'absent';
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
    rule.abnormal_from === undefined ? null : value >= rule.abnormal_from ? 'present' : 'absent';
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
