import type { Calibration } from './calibration.ts';

const SIZE = 320;
const MARGIN = 44;

/** The calibration as SVG: mean score against observed share with its interval; on the diagonal a score is a probability. */
export function calibrationPlot({ bins }: Calibration, title: string): string {
  const x = (value: number): string => (MARGIN + value * SIZE).toFixed(1);
  const y = (value: number): string => (MARGIN / 2 + (1 - value) * SIZE).toFixed(1);
  const most = Math.max(...bins.map(({ count }) => count), 1);
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1].flatMap((value) => [
    `<path class="grid" d="M${x(0)} ${y(value)}H${x(1)}M${x(value)} ${y(0)}V${y(1)}"/>`,
    `<text x="${x(value)}" y="${Number(y(0)) + 16}" text-anchor="middle">${value}</text>`,
    `<text x="${Number(x(0)) - 6}" y="${Number(y(value)) + 4}" text-anchor="end">${value}</text>`,
  ]);
  const points = bins.flatMap(({ meanScore, observed, count }) => [
    `<path class="interval" d="M${x(meanScore)} ${y(observed.low)}V${y(observed.high)}"/>`,
    `<circle cx="${x(meanScore)}" cy="${y(observed.value)}" r="${(3 + 5 * Math.sqrt(count / most)).toFixed(1)}"><title>${count} cases, mean score ${meanScore.toFixed(3)}, observed ${observed.value.toFixed(3)}</title></circle>`,
  ]);
  const width = SIZE + MARGIN * 1.5;
  const height = SIZE + MARGIN * 1.6;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-label="${escapeXml(title)}">`,
    '<style>text{font:11px sans-serif;fill:#333}.grid{stroke:#e3e3e3;fill:none}.even{stroke:#888;stroke-dasharray:4 4}.interval{stroke:#1f5fa8}circle{fill:#1f5fa8;fill-opacity:.8}</style>',
    ...ticks,
    `<path class="even" d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}"/>`,
    ...points,
    `<text x="${x(0.5)}" y="${height - 6}" text-anchor="middle">mean score</text>`,
    `<text transform="translate(12 ${y(0.5)}) rotate(-90)" text-anchor="middle">observed share of positives</text>`,
    '</svg>',
  ].join('\n');
}

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
