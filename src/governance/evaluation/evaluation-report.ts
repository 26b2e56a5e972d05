import { calibrationPlot, escapeXml } from './calibration-plot.ts';
import type { FindingEvaluation, Subgroup } from './evaluate-finding.ts';
import type { OperatingPoint } from './operating-point.ts';
import type { Interval } from './roc-auc.ts';

/** What a site's test of a model found; the JSON report is this. Names no patient and no file. */
export interface Evaluation {
  readonly model: string;
  readonly title: string;
  readonly deviceUid: string;
  readonly sha256: string;
  /** ISO time. */
  readonly at: string;
  readonly cases: number;
  /** Cases of the list that gave no score, by rule or failure code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly method: string;
  readonly claimed: readonly string[];
  readonly findings: readonly FindingEvaluation[];
}

export const METHOD =
  'ROC AUC with DeLong 95 % intervals; sensitivity and specificity with Wilson 95 % intervals; calibration in ten bins of equal width.';

/** The report as one HTML file that needs nothing else. */
export function evaluationHtml(evaluation: Evaluation): string {
  const { model, title, findings, refused } = evaluation;
  const text = escapeXml;
  const refusals = Object.entries(refused).map(([why, count]) => `<li>${text(why)}: ${count}</li>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evaluation of ${text(model)}</title>
<style>body{font:14px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.6rem 0 1.4rem}td,th{border:1px solid #ddd;padding:.25rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}h2{margin-top:2.2rem;border-bottom:1px solid #ddd}small{color:#666}</style></head><body>
<h1>${text(title)}</h1>
<p>${text(model)} · device UID ${text(evaluation.deviceUid)} · SHA-256 ${text(evaluation.sha256)}<br>${text(evaluation.at)}</p>
<p>${evaluation.cases} cases. ${text(evaluation.method)}</p>
${refusals.length > 0 ? `<p>Without a score, by reason:</p><ul>${refusals.join('')}</ul>` : ''}
${evaluation.claimed.length > 0 ? `<p>Claimed by its maker:</p><ul>${evaluation.claimed.map((line) => `<li>${text(line)}</li>`).join('')}</ul>` : ''}
<table><tr><th>finding</th><th>cases</th><th>positive</th><th>ROC AUC</th><th>threshold</th><th>sensitivity</th><th>specificity</th></tr>
${findings.flatMap(summaryRows).join('\n')}</table>
${findings.map(findingSection).join('\n')}
</body></html>
`;
}

function summaryRows({ label, cases, positives, auc, points }: FindingEvaluation): string[] {
  return points.map((point, i) => {
    const first =
      i === 0
        ? [escapeXml(label), cases, positives, interval(auc)]
        : [`<small>${escapeXml(label)}, indeterminate</small>`, '', '', ''];
    return row([...first, ...pointCells(point)]);
  });
}

function findingSection(finding: FindingEvaluation): string {
  const { label, calibration, subgroups } = finding;
  const plot = calibration
    ? `${calibrationPlot(calibration, `Calibration of ${label}`)}<p><small>Brier score ${calibration.brier.toFixed(4)}, expected calibration error ${calibration.expectedError.toFixed(4)}</small></p>`
    : '<p><small>No calibration: the scores are no probabilities.</small></p>';
  return `<h2>${escapeXml(label)}</h2>${plot}
<table><tr><th>group</th><th>cases</th><th>positive</th><th>ROC AUC</th><th>threshold</th><th>sensitivity</th><th>specificity</th></tr>
${subgroups.map(subgroupRow).join('\n')}</table>`;
}

const subgroupRow = ({ by, group, cases, positives, auc, point }: Subgroup): string =>
  row([`${by}: ${escapeXml(group)}`, cases, positives, interval(auc), ...pointCells(point)]);

const pointCells = ({ threshold, sensitivity, specificity }: OperatingPoint): string[] => [
  String(threshold),
  interval(sensitivity),
  interval(specificity),
];

const row = (cells: readonly (string | number)[]): string =>
  `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;

const interval = (one: Interval | null): string =>
  one === null ? '–' : `${one.value.toFixed(3)} (${one.low.toFixed(3)}–${one.high.toFixed(3)})`;
