import type { PriorResult } from '../../governance/prior-result.ts';
import type { Finding } from '../../kernel/handoffs.ts';
import type { Priors } from './choose-priors.ts';

/** How an exam's day stands in a sentence: as written, without the time. */
const dayOf = (taken: string): string => taken.slice(0, 10);

/**
 * What changed since the nearest result that can be compared, in one sentence; then what could not be compared, and why. Empty where there
 * is nothing to say.
 */
export function sayPriors(findings: readonly Finding[], { byKey, laterTaken }: Priors): string {
  const compared = findings.flatMap((finding) => {
    const prior = byKey.get(finding.key)?.find(({ caution }) => caution === null);
    const words = prior ? sayChange(finding, prior) : null;
    return prior && words ? [{ day: dayOf(prior.taken), words: `${finding.label} ${words}` }] : [];
  });
  const sentences = [...Map.groupBy(compared, ({ day }) => day)].map(
    ([day, group]) => `Compared with ${day}: ${group.map(({ words }) => words).join(', ')}.`,
  );
  return [...sentences, ...sayCautions(findings, byKey), ...sayLater(laterTaken)].join(' ');
}

/** `+120 mL (+2.1 %)`, `present, was absent`; null for a finding that was absent and still is. */
function sayChange(finding: Finding, prior: PriorResult): string | null {
  if (finding.kind === 'measurement') {
    const { change, value } = prior;
    return change === null || value === null ? null : sayDifference(change, value, prior.unit);
  }
  if (prior.presence === null || finding.presence === null) return null;
  if (prior.presence !== finding.presence) return `${finding.presence}, was ${prior.presence}`;
  return finding.presence === 'absent' ? null : `${finding.presence} as before`;
}

function sayDifference(change: number, before: number, unit: string | null): string {
  const words = UNIT_WORDS[unit ?? '1'] ?? unit ?? '';
  const share =
    HAS_ZERO.has(unit ?? '') && before > 0
      ? ` (${signed(Number(((100 * change) / before).toFixed(1)))} %)`
      : '';
  return change === 0 ? 'unchanged' : `${signed(change)} ${words}`.trim() + share;
}

const signed = (value: number): string => (value < 0 ? `-${-value}` : `+${value}`);

/** As people write them; a difference of two percentages is in percentage points. */
const UNIT_WORDS: Readonly<Record<string, string>> = {
  '%': 'percentage points',
  "[hnsf'U]": 'HU',
  '1': '',
};

/** Units in which twice the number is twice as much: only there a percentage of the earlier value means something. */
const HAS_ZERO: ReadonlySet<string> = new Set(
  'm cm mm um m2 cm2 mm2 m3 cm3 mm3 L dL mL uL l ml g mg kg s ms min'.split(' '),
);

const CAUTIONS = {
  'model-version': 'is of another version of the model',
  unit: 'is in another unit',
  laterality: 'is of another side, or of a side that is not known',
} as const;

/** Where nothing of a finding can be compared, that is said once, for the newest. */
function sayCautions(findings: readonly Finding[], byKey: Priors['byKey']): string[] {
  const lines = findings.flatMap(({ key }) => {
    const priors = byKey.get(key) ?? [];
    const [newest] = priors;
    if (!newest?.caution || priors.some(({ caution }) => caution === null)) return [];
    return [`The result of ${dayOf(newest.taken)} ${CAUTIONS[newest.caution]} and was not compared.`];
  });
  return [...new Set(lines)];
}

const sayLater = (taken: string | null): string[] =>
  taken === null
    ? []
    : [`A later study, of ${dayOf(taken)}, was reported before this one and is not compared with it.`];
