import type { RowFinding } from '../worklist-row.ts';
import { dayOf, sayChange, sayPrior } from './say-prior.ts';
import { sayValue } from './say-row.ts';

/** What a finding was before: the change in words, a small curve of the results that can be compared, and each of them. */
export function FindingCourse({ finding, since }: { finding: RowFinding; since: string | null }) {
  if (finding.priors.length === 0) return null;
  const change = sayChange(finding);
  return (
    <div class="course">
      {change !== null && <p class="course-change">{change}</p>}
      <Curve finding={finding} since={since} />
      <p class="course-priors">
        <b>Earlier</b>
        {finding.priors.map((prior) => (
          <span
            class={`pair ${prior.caution === null ? '' : 'course-caution'}`}
            key={prior.taken + prior.modelVersion}
          >
            {sayPrior(prior)}
          </span>
        ))}
      </p>
    </div>
  );
}

const WIDTH = 220;
const HEIGHT = 64;
const EDGE = 8;
/** The height stands for at least this share of the largest value shown. */
const SPAN_SHARE_MIN = 0.2;

interface Point {
  readonly at: number;
  readonly value: number;
  readonly day: string;
}

/** Left is earlier; the ring is this exam. Its scale is that of the values shown, so it is for direction, and the numbers stand below. */
function Curve({ finding, since }: { finding: RowFinding; since: string | null }) {
  const points = pointsOf(finding, since);
  if (points.length < 2) return null;
  const [first, last] = [points[0] as Point, points.at(-1) as Point];
  const values = points.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  // A small change of a large number must not look like a cliff.
  const span = Math.max(high - low, SPAN_SHARE_MIN * Math.max(Math.abs(low), Math.abs(high))) || 1;
  const middle = (low + high) / 2;
  const place = ({ at, value }: Point) => ({
    x: EDGE + ((WIDTH - 2 * EDGE) * (at - first.at)) / (last.at - first.at || 1),
    y: HEIGHT / 2 - ((HEIGHT - 2 * EDGE) * (value - middle)) / span,
  });
  const line = points.map((point) => `${place(point).x.toFixed(1)},${place(point).y.toFixed(1)}`).join(' ');
  return (
    <svg
      class="course-curve"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={`${finding.label}: ${points.length} results from ${first.day} to ${last.day}, now ${sayValue(finding)}`}
    >
      <polyline points={line} />
      {points.map((point, at) => (
        <circle
          key={point.day + String(at)}
          cx={place(point).x}
          cy={place(point).y}
          r={at === points.length - 1 ? 6 : 4}
          class={at === points.length - 1 ? 'course-now' : ''}
        />
      ))}
    </svg>
  );
}

function pointsOf(finding: RowFinding, since: string | null): Point[] {
  if (finding.value === null || since === null) return [];
  const earlier = finding.priors.flatMap(({ caution, value, taken }) =>
    caution === null && value !== null ? [{ at: Date.parse(taken), value, day: dayOf(taken) }] : [],
  );
  const all = [...earlier, { at: Date.parse(since), value: finding.value, day: dayOf(since) }];
  return all.filter(({ at }) => !Number.isNaN(at)).sort((a, b) => a.at - b.at);
}
