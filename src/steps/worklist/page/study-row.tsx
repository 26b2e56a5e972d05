import type { RowFinding, RowVerdict, WorklistRow } from '../worklist-row.ts';
import { sayChange } from './say-prior.ts';
import {
  absent,
  noticesOf,
  STATUS_WORDS,
  sayExam,
  sayName,
  sayPerson,
  sayResult,
  sayShortBasis,
  sayWait,
  telling,
} from './say-row.ts';
import { UrgencyMark } from './urgency-mark.tsx';

interface StudyRowProps {
  readonly row: WorklistRow;
  readonly selected: boolean;
  readonly nowMs: number;
  readonly select: (id: string) => void;
}

export const rowElementId = (id: string): string => `row-${id}`;

/** Findings shown in the list; the rest is counted, and all are in the detail. */
const FINDINGS_IN_LIST = 3;

/** One study in the list: why it stands here, who, what, since when, and what was found. */
export function StudyRow({ row, selected, nowMs, select }: StudyRowProps) {
  const wait = sayWait(row.exam.since, nowMs);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard works on the listbox, which names its active option
    <div
      class={`row row-${row.urgency.level}`}
      role="option"
      id={rowElementId(row.id)}
      aria-selected={selected}
      tabIndex={-1}
      onClick={() => select(row.id)}
    >
      <div class="row-top">
        <UrgencyMark urgency={row.urgency} />
        <span class="row-reason">{row.urgency.reasons[0]?.text}</span>
      </div>
      <div class="row-who">
        <bdi class="row-name">{sayName(row)}</bdi>
        <span class="row-person">
          {sayPerson(row)} · MRN <bdi>{row.patient.mrn ?? 'unknown'}</bdi>
        </span>
        <span class="row-wait">
          <span class="aside">waiting </span>
          {wait ?? 'time unknown'}
        </span>
      </div>
      <div class="row-exam">
        <bdi>{sayExam(row)}</bdi>
        <span class={`status status-${row.status}`}>{STATUS_WORDS[row.status]}</span>
      </div>
      <RowLines row={row} />
    </div>
  );
}

/** What happened to the study or its result since somebody may have read it. */
function Notices({ row }: { row: WorklistRow }) {
  return (
    <>
      {noticesOf(row).map((text) => (
        <p class="line line-stop" key={text}>
          {text}
        </p>
      ))}
    </>
  );
}

function RowLines({ row }: { row: WorklistRow }) {
  if (row.status === 'refused')
    return (
      <>
        <Notices row={row} />
        <Refusals verdicts={row.refusals} />
      </>
    );
  if (row.status === 'failed') return <p class="line line-stop">Failed: {row.failure}</p>;
  const shown = telling(row);
  const rest = absent(row).length;
  return (
    <>
      <Notices row={row} />
      {(row.status === 'running' || row.status === 'waiting') && row.stage !== null && (
        <p class="line">{row.stage}</p>
      )}
      {shown.slice(0, FINDINGS_IN_LIST).map((finding) => (
        <p class="line" key={finding.id}>
          <b>
            <bdi>{finding.label}</bdi> {sayResult(finding)}
          </b>{' '}
          <span class="line-basis">{sayShortBasis(finding)}</span>
          <LineChange finding={finding} />
        </p>
      ))}
      {shown.length > FINDINGS_IN_LIST && <p class="line">and {shown.length - FINDINGS_IN_LIST} more</p>}
      {shown.length === 0 && rest > 0 && (
        <p class="line">
          {rest === 1 ? '1 finding looked for, absent' : `${rest} findings looked for, all absent`}
        </p>
      )}
      {!row.order.matched && <p class="line line-stop">No order matched</p>}
    </>
  );
}

function LineChange({ finding }: { finding: RowFinding }) {
  const change = sayChange(finding);
  return change === null ? null : <span class="line-change">{change}</span>;
}

function Refusals({ verdicts }: { verdicts: readonly RowVerdict[] }) {
  if (verdicts.length === 0) return <p class="line line-stop">Refused without a reason in the record</p>;
  return (
    <>
      {verdicts.map((verdict) => (
        <p class="line line-stop" key={`${verdict.rule}${verdict.text}`}>
          <Verdict verdict={verdict} />
        </p>
      ))}
    </>
  );
}

export function Verdict({ verdict }: { verdict: RowVerdict }) {
  return (
    <>
      {verdict.rule !== null && <b class="rule">{verdict.rule}</b>}
      {verdict.observed === null ? (
        <bdi>{verdict.text}</bdi>
      ) : (
        <>
          <span class="pair">
            observed <bdi>{verdict.observed}</bdi>
          </span>
          <span class="pair">
            required <bdi>{verdict.required}</bdi>
          </span>
        </>
      )}
    </>
  );
}
