import { verdictText } from '../../governance/analysis-task.ts';
import type { Finding, GateVerdict } from '../../kernel/handoffs.ts';

/** The first sentence of every report of ours, in every output. */
export const NOT_REVIEWED = 'Preliminary AI result. Not reviewed by a radiologist.';

/** The findings in sentences, for people who read text: what is present, what is unclear, what was measured, what was looked for in vain. */
export function conclude(
  findings: readonly Finding[],
  caution: string,
  warnings: readonly GateVerdict[] = [],
  around: { readonly reason?: string; readonly priors?: string } = {},
): string {
  const by = (presence: Finding['presence']) =>
    findings
      .filter((finding) => finding.kind === 'presence' && finding.presence === presence)
      .map((finding) => finding.label);
  const measured = findings
    .filter((finding) => finding.kind === 'measurement')
    .map((finding) => `${finding.label}: ${finding.value} ${readable(finding.unit)}`.trim());
  return [
    NOT_REVIEWED,
    around.reason ? `Reason for exam: ${ended(around.reason)}` : '',
    sentence('Present', by('present')),
    sentence('Indeterminate', by('indeterminate')),
    sentence('Measured', measured),
    sentence('Looked for and not found', by('absent')),
    around.priors ?? '',
    warned(warnings),
    caution,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** The gate let the images pass with these: whoever reads the result must know. */
const warned = (warnings: readonly GateVerdict[]) =>
  warnings.length > 0 ? `Image quality warnings: ${warnings.map(verdictText).join('. ')}.` : '';

const ended = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

const sentence = (lead: string, items: readonly string[]) =>
  items.length > 0 ? `${lead}: ${items.join(', ')}.` : '';

/** UCUM's code for the Hounsfield unit is not what people write. */
const readable = (unit: string | null) => (unit === "[hnsf'U]" ? 'HU' : unit === '1' ? '' : (unit ?? ''));
