import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import { LiveSign } from '../../../browser/live-sign.tsx';
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
