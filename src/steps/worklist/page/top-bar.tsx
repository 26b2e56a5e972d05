import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import type { LiveState } from './live-rows.ts';
import { sayTime } from './say-row.ts';
import type { LiveRows } from './use-rows.ts';

interface TopBarProps {
  readonly live: LiveRows;
  /** Rows that the filter lets through. */
  readonly shown: number;
  readonly filter: string;
  readonly setFilter: (filter: string) => void;
  readonly filterRef: RefObject<HTMLInputElement | null>;
  readonly help: () => void;
  readonly signOut: () => void;
}

export function TopBar({ live, shown, filter, setFilter, filterRef, help, signOut }: TopBarProps) {
  const all = [...(live.rows?.values() ?? [])];
  const critical = all.filter((row) => row.urgency.level === 'critical').length;
  useEffect(() => {
    document.title = `${critical > 0 ? `(${critical}) ` : ''}Worklist · Prelim`;
  }, [critical]);
  return (
    <header class="top">
      <h1>Worklist</h1>
      <p class="counts">
        {critical > 0 && <strong>{critical} within minutes</strong>}
        <span>{shown === all.length ? `${all.length} studies` : `${shown} of ${all.length} studies`}</span>
      </p>
      <label class="filter">
        <span class="aside">Filter the list</span>
        <input
          type="search"
          ref={filterRef}
          value={filter}
          placeholder="Filter: name, MRN, exam, finding"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </label>
      <LiveSign state={live.state} nowMs={live.nowMs} />
      <button type="button" onClick={help}>
        Help <kbd>?</kbd>
      </button>
      <button type="button" onClick={signOut}>
        Sign out
      </button>
    </header>
  );
}

const WORDS: Readonly<Record<LiveState, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
};

/** Filled dot and "Live", or a broken ring and "Reconnecting": an old list must never look like a new one. */
function LiveSign({ state, nowMs }: { state: LiveState; nowMs: number }) {
  return (
    <p class={`live live-${state}`} role="status">
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        {state === 'live' ? (
          <circle cx="8" cy="8" r="6" fill="currentColor" />
        ) : (
          <circle
            cx="8"
            cy="8"
            r="6"
            fill="none"
            stroke="currentColor"
            stroke-width="3"
            stroke-dasharray="6 4"
          />
        )}
      </svg>
      {WORDS[state]}
      <span aria-hidden="true">{sayTime(new Date(nowMs).toISOString())?.slice(11)}</span>
    </p>
  );
}
