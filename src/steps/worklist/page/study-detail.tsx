import type { RefObject } from 'preact';
import type { SignedOut } from '../../../browser/ask-server.ts';
import type { TabSession } from '../../../browser/tab-session.ts';
import type { WorklistRow } from '../worklist-row.ts';
import { FindingList } from './finding-list.tsx';
import { KeyPicture } from './key-picture.tsx';
import { RecordFacts } from './record-facts.tsx';
import { noticesOf, STATUS_WORDS, sayExam, sayName, sayPerson, sayWait } from './say-row.ts';
import { Verdict } from './study-row.tsx';
import { UrgencyMark } from './urgency-mark.tsx';

interface StudyDetailProps {
  readonly row: WorklistRow;
  readonly session: TabSession;
  readonly nowMs: number;
  readonly headingRef: RefObject<HTMLHeadingElement | null>;
  /** Other analyses of the same study, by other models. */
  readonly others: readonly WorklistRow[];
  readonly select: (id: string) => void;
  readonly back: () => void;
  readonly onSignedOut: (why: SignedOut) => void;
}

/** One study: what it is worth, on what ground, and what must not be forgotten while reading it. */
export function StudyDetail({
  row,
  session,
  nowMs,
  headingRef,
  others,
  select,
  back,
  onSignedOut,
}: StudyDetailProps) {
  const wait = sayWait(row.exam.since, nowMs);
  return (
    <article class="detail" aria-labelledby="detail-title">
      <Standing row={row} />
      <header class="detail-head">
        <button type="button" class="back" onClick={back}>
          Back to the list
        </button>
        <h2 id="detail-title" tabIndex={-1} ref={headingRef}>
          <bdi>{sayName(row)}</bdi>
        </h2>
        <p class="detail-person">
          {sayPerson(row)}
          {row.patient.birthDate !== null && <> · born {row.patient.birthDate}</>} · MRN{' '}
          <bdi>{row.patient.mrn ?? 'unknown'}</bdi>
        </p>
        <p class="detail-exam">
          <bdi>{sayExam(row)}</bdi>
          <span class="pair">
            {wait === null ? 'time unknown' : `study ${wait === 'just now' ? wait : `${wait} ago`}`}
          </span>
          <span class="pair">{STATUS_WORDS[row.status]}</span>
        </p>
        {row.exam.reason !== null && (
          <p class="detail-exam">
            Reason for exam: <bdi>{row.exam.reason}</bdi>
          </p>
        )}
        <Reasons row={row} />
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section class="detail-body" data-scrolls tabIndex={0} aria-label="Result">
        <Stops row={row} />
        {row.stage !== null && (row.status === 'running' || row.status === 'waiting') && (
          <p class="stage">{row.stage}</p>
        )}
        <div class="detail-columns">
          <KeyPicture row={row} session={session} onSignedOut={onSignedOut} />
          <div class="detail-words">
            <FindingList row={row} />
            <PriorStudies row={row} />
            <OtherAnalyses others={others} select={select} />
            <RecordFacts row={row} session={session} onSignedOut={onSignedOut} />
          </div>
        </div>
      </section>
    </article>
  );
}

function Reasons({ row }: { row: WorklistRow }) {
  const [first, ...others] = row.urgency.reasons;
  return (
    <div class="reasons">
      <p class="reason">
        <UrgencyMark urgency={row.urgency} />
        <span class="aside">Why it stands here in the list: </span>
        <span>{first?.text}</span>
      </p>
      {others.length > 0 && <p class="also">Also: {others.map((reason) => reason.text).join(' · ')}</p>}
    </div>
  );
}

/** Where the result stands. It never scrolls away. */
function Standing({ row }: { row: WorklistRow }) {
  if (row.status === 'reviewed')
    return <p class="standing">Reviewed by a radiologist. Report status: {row.report?.status}.</p>;
  if (row.status === 'retracted') return <p class="standing">The AI result was withdrawn. Do not use it.</p>;
  if (row.status === 'preliminary') {
    return <p class="standing">Preliminary AI result. Not reviewed by a radiologist.</p>;
  }
  return <p class="standing">No AI result. {STATUS_WORDS[row.status]}. Not reviewed by a radiologist.</p>;
}

/** What stops, or should make one stop: refusal, failure, warnings, an order that is missing. */
function Stops({ row }: { row: WorklistRow }) {
  const notices = noticesOf(row);
  const warnings = row.warnings.filter(({ rule }) => rule !== null);
  return (
    <>
      {notices.length > 0 && (
        <section class="stop" aria-label="Notices">
          <h3>Take note</h3>
          {notices.map((text) => (
            <p key={text}>
              <bdi>{text}</bdi>
            </p>
          ))}
        </section>
      )}
      {row.status === 'refused' && (
        <section class="stop" aria-label="Refusal">
          <h3>Refused by the gate</h3>
          {row.refusals.map((verdict) => (
            <VerdictTable key={`${verdict.rule}${verdict.text}`} verdict={verdict} />
          ))}
          <p>There is no AI result. Read the study as ordered.</p>
        </section>
      )}
      {row.status === 'failed' && (
        <section class="stop" aria-label="Failure">
          <h3>The analysis failed</h3>
          <p>
            <bdi>{row.failure}</bdi>
          </p>
          <p>Read the study as ordered.</p>
        </section>
      )}
      {!row.order.matched && (
        <section class="stop" aria-label="Order">
          <h3>No order matched this study</h3>
          <p>Check that patient and study belong together before you act on the result.</p>
        </section>
      )}
      {warnings.length > 0 && (
        <section class="stop" aria-label="Warnings">
          <h3>{warnings.length === 1 ? 'Warning of the gate' : 'Warnings of the gate'}</h3>
          {warnings.map((verdict) => (
            <p key={`${verdict.rule}${verdict.text}`}>
              <Verdict verdict={verdict} />
            </p>
          ))}
        </section>
      )}
    </>
  );
}

/** Earlier studies that only the PACS knows: no result of them stands beside the new one. */
function PriorStudies({ row }: { row: WorklistRow }) {
  const { priorStudies: prior } = row;
  if (prior === null || (prior.asked && prior.studies.length === 0)) return null;
  return (
    <section aria-labelledby="priors-title">
      <h3 id="priors-title">Earlier studies, not analysed</h3>
      {!prior.asked && <p>The PACS did not answer: it is not known whether it has earlier studies.</p>}
      <ul>
        {prior.studies.map((study, at) => (
          <li key={study + String(at)}>{study}</li>
        ))}
      </ul>
    </section>
  );
}

/** What other models made of the same study: one of them may have refused what another one read. */
function OtherAnalyses({ others, select }: { others: readonly WorklistRow[]; select: (id: string) => void }) {
  if (others.length === 0) return null;
  return (
    <section aria-labelledby="others-title">
      <h3 id="others-title">Same study, other models</h3>
      <ul>
        {others.map((other) => (
          <li key={other.id}>
            <button type="button" class="other" onClick={() => select(other.id)}>
              {other.model?.id ?? 'unknown model'}: {STATUS_WORDS[other.status]},{' '}
              {other.urgency.reasons[0]?.text}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function VerdictTable({ verdict }: { verdict: WorklistRow['refusals'][number] }) {
  if (verdict.observed === null) {
    return (
      <p>
        <Verdict verdict={verdict} />
      </p>
    );
  }
  return (
    <dl class="verdict">
      <dt>Rule</dt>
      <dd>{verdict.rule ?? 'not named'}</dd>
      <dt>Observed</dt>
      <dd>
        <bdi>{verdict.observed}</bdi>
      </dd>
      <dt>Required</dt>
      <dd>
        <bdi>{verdict.required}</bdi>
      </dd>
    </dl>
  );
}
