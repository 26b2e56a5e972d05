/**
 * How urgent a row is, and why, in words. A flag alone does not shorten anybody's wait, only the order of the list does
 * (PMC8043365), so every row has one place in one order and says what put it there.
 *
 * The order: what the referring physician and the ACR actionable category say comes first, then what the model saw, then
 * how long the patient has waited. A finding that is absent never lowers a row: a STAT order stays STAT.
 */
export interface Urgency {
  readonly level: UrgencyLevel;
  /** One or two words for the mark: `Minutes`, `STAT`. */
  readonly word: string;
  /** Most urgent first; never empty. */
  readonly reasons: readonly UrgencyReason[];
}

export type UrgencyLevel = 'critical' | 'high' | 'raised' | 'routine' | 'closed';

export interface UrgencyReason {
  /** Lower is more urgent. */
  readonly rank: number;
  readonly text: string;
}

/** What the urgency of a row is made of. */
export interface UrgencyFacts {
  readonly status: string;
  readonly priority: string | null;
  readonly findings: readonly UrgencyFinding[];
}

export interface UrgencyFinding {
  readonly label: string;
  readonly presence: 'present' | 'indeterminate' | 'absent' | null;
  readonly abnormal: boolean;
  readonly actionable: 1 | 2 | 3 | null;
}

/** Finds the urgency of one analysis. */
export function findUrgency(facts: UrgencyFacts): Urgency {
  if (facts.status === 'reviewed') return only(CLOSED, 'Reviewed by a radiologist');
  if (facts.status === 'retracted') return only(CLOSED, 'The AI result was withdrawn');
  const reasons = [...orderReasons(facts.priority), ...facts.findings.flatMap(findingReasons)];
  if (reasons.length === 0) return only(ROUTINE, routineText(facts.status));
  reasons.sort((a, b) => a.rank - b.rank);
  return describe(reasons as [UrgencyReason, ...UrgencyReason[]]);
}

/**
 * Orders two rows, most urgent first: by the worst reason, then by the next ones, then by who has waited longest, then by
 * id so that the order never depends on chance.
 */
export function compareUrgency(a: Sortable, b: Sortable): number {
  const left = a.urgency.reasons;
  const right = b.urgency.reasons;
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i]?.rank ?? NO_REASON) - (right[i]?.rank ?? NO_REASON);
    if (difference !== 0) return difference;
  }
  return waitingSince(a) - waitingSince(b) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export interface Sortable {
  readonly id: string;
  readonly urgency: Urgency;
  readonly exam: { readonly since: string | null };
}

interface Step {
  readonly rank: number;
  readonly level: UrgencyLevel;
  readonly word: string;
}

// A STAT order stands before category 2: its physician asked for an answer within the hour, category 2 allows hours.
const CATEGORY_1: Step = { rank: 10, level: 'critical', word: 'Minutes' };
const STAT: Step = { rank: 20, level: 'high', word: 'STAT' };
const CATEGORY_2: Step = { rank: 30, level: 'high', word: 'Hours' };
const ASAP: Step = { rank: 40, level: 'high', word: 'ASAP' };
const URGENT: Step = { rank: 45, level: 'high', word: 'Urgent' };
const CATEGORY_3: Step = { rank: 50, level: 'raised', word: 'Days' };
const ABNORMAL: Step = { rank: 60, level: 'raised', word: 'Abnormal' };
const INDETERMINATE: Step = { rank: 70, level: 'raised', word: 'Unclear' };
const ROUTINE: Step = { rank: 80, level: 'routine', word: 'Routine' };
const CLOSED: Step = { rank: 100, level: 'closed', word: 'Closed' };
const STEPS = [
  CATEGORY_1,
  STAT,
  CATEGORY_2,
  ASAP,
  URGENT,
  CATEGORY_3,
  ABNORMAL,
  INDETERMINATE,
  ROUTINE,
  CLOSED,
];
/** A row that has one more reason stands before one that has not, so a missing reason ranks behind all. */
const NO_REASON = 1_000;

/** ACR actionable findings: 1 within minutes, 2 within hours, 3 within days. */
const CATEGORIES = {
  1: { step: CATEGORY_1, within: 'minutes' },
  2: { step: CATEGORY_2, within: 'hours' },
  3: { step: CATEGORY_3, within: 'days' },
} as const;

const ORDERS: Readonly<Record<string, { step: Step; text: string }>> = {
  stat: { step: STAT, text: 'STAT order' },
  asap: { step: ASAP, text: 'Order: as soon as possible' },
  urgent: { step: URGENT, text: 'Urgent order' },
};

function orderReasons(priority: string | null): UrgencyReason[] {
  const order = priority === null || !Object.hasOwn(ORDERS, priority) ? undefined : ORDERS[priority];
  return order ? [{ rank: order.step.rank, text: order.text }] : [];
}

function findingReasons(finding: UrgencyFinding): UrgencyReason[] {
  const seen = finding.presence === 'present' ? `${finding.label} present` : `${finding.label} abnormal`;
  if (finding.actionable !== null && (finding.presence === 'present' || finding.abnormal)) {
    const { step, within } = CATEGORIES[finding.actionable];
    return [{ rank: step.rank, text: `Actionable category ${finding.actionable}: ${within} — ${seen}` }];
  }
  if (finding.presence === 'present' || finding.abnormal) return [{ rank: ABNORMAL.rank, text: seen }];
  if (finding.presence === 'indeterminate') {
    return [{ rank: INDETERMINATE.rank, text: `${finding.label} indeterminate` }];
  }
  return [];
}

function routineText(status: string): string {
  if (status === 'refused' || status === 'failed') return 'No AI result: read as ordered';
  if (status === 'waiting' || status === 'running') return 'No AI result yet';
  return 'No finding above its threshold';
}

const only = (step: Step, text: string): Urgency => describe([{ rank: step.rank, text }]);

function describe(reasons: readonly [UrgencyReason, ...UrgencyReason[]]): Urgency {
  const step = STEPS.find((one) => one.rank === reasons[0].rank) ?? ROUTINE;
  return { level: step.level, word: step.word, reasons };
}

function waitingSince(row: Sortable): number {
  const time = row.exam.since === null ? Number.NaN : Date.parse(row.exam.since);
  // A row without a time stands last among its equals: nothing is known of its wait.
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time;
}
