import { useEffect, useState } from 'preact/hooks';
import type { SignedOut } from '../../../browser/ask-server.ts';
import type { LiveState } from '../../../browser/live-sign.tsx';
import type { TabSession } from '../../../browser/tab-session.ts';
import type { WorklistRow } from '../worklist-row.ts';
import { type RowMap, toRowMap, withoutRow, withRow } from './choose-rows.ts';
import { followRows } from './live-rows.ts';

export interface LiveRows {
  /** null until the first answer. */
  readonly rows: RowMap | null;
  /** There are older analyses that are not on the list. */
  readonly more: boolean;
  readonly state: LiveState;
  /** Time of the server now, in ms; moves every ten seconds. */
  readonly nowMs: number;
  /** What just became urgent, in a sentence, for those who cannot see the list move. */
  readonly news: string;
}

const CLOCK_STEP_MS = 10_000;

/** The rows of the signed-in user, live. */
export function useRows(session: TabSession, onSignedOut: (why: SignedOut) => void): LiveRows {
  const [rows, setRows] = useState<RowMap | null>(null);
  const [state, setState] = useState<LiveState>('connecting');
  const [more, setMore] = useState(false);
  const [news, setNews] = useState('');
  const { nowMs, setServerTime } = useServerClock();

  useEffect(() => {
    const end = new AbortController();
    void followRows(
      session,
      {
        rows: (answer) => {
          setServerTime(answer.at);
          setMore(answer.more);
          setRows(toRowMap(answer.rows));
        },
        row: (row) =>
          setRows((before) => {
            if (isNews(before?.get(row.id), row)) setNews(sentence(row));
            return withRow(before ?? new Map(), row);
          }),
        gone: (id) => setRows((before) => (before ? withoutRow(before, id) : before)),
        time: setServerTime,
        state: setState,
        signedOut: onSignedOut,
      },
      end.signal,
    );
    return () => end.abort();
  }, []);

  return { rows, more, state, nowMs, news };
}

/** The clock of the workstation may be wrong; waiting times are told by the clock of the server. */
function useServerClock() {
  const [offsetMs, setOffsetMs] = useState(0);
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), CLOCK_STEP_MS);
    return () => clearInterval(timer);
  }, []);
  const setServerTime = (at: string) => {
    const time = Date.parse(at);
    if (!Number.isNaN(time)) setOffsetMs(time - Date.now());
  };
  return { nowMs: Date.now() + offsetMs, setServerTime };
}

function isNews(before: WorklistRow | undefined, after: WorklistRow): boolean {
  const urgent = after.urgency.level === 'critical' || after.urgency.level === 'high';
  return urgent && after.urgency.reasons[0]?.text !== before?.urgency.reasons[0]?.text;
}

const sentence = (row: WorklistRow) =>
  `${row.urgency.reasons[0]?.text}. ${row.patient.name ?? 'Unknown patient'}.`;
