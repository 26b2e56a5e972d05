import { useMemo, useState } from 'preact/hooks';
import type { SignedIn } from '../../../browser/page-with-sign-in.tsx';
import { type RowMap, sameStudy } from './choose-rows.ts';
import { HelpDialog } from './help-dialog.tsx';
import { StudyDetail } from './study-detail.tsx';
import { StudyList } from './study-list.tsx';
import { TopBar } from './top-bar.tsx';
import { useKeyboard } from './use-keyboard.ts';
import { useRows } from './use-rows.ts';
import { useSelection } from './use-selection.ts';

/** The page after sign-in: list left, study right. On a narrow screen one of the two. */
export function Worklist({ session, onSignedOut, signOut }: SignedIn) {
  // The one that is open in the EHR: no other is shown.
  const patient = session.account()?.patient ?? null;
  const all = useRows(session, onSignedOut);
  const ofPatient = useMemo(() => rowsOf(all.rows, patient), [all.rows, patient]);
  const live = { ...all, rows: ofPatient };
  const selection = useSelection(live.rows);
  const [help, setHelp] = useState(false);
  const [characterKeys, setCharacterKeys] = useState(true);
  const { rows, row, selectedId, select, filter, setFilter } = selection;
  const others = useMemo(() => sameStudy(live.rows ?? new Map(), row), [live.rows, row]);
  useKeyboard({ ...selection.actions, help: () => setHelp(true) }, characterKeys && !help);

  return (
    <div class={selection.opened ? 'worklist worklist-opened' : 'worklist'}>
      <TopBar
        {...{ live, filter, setFilter, signOut }}
        shown={rows.length}
        filterRef={selection.filterRef}
        help={() => setHelp(true)}
      />
      {patient !== null && (
        <p class="context" role="note">
          Open in the EHR: {[...(ofPatient?.values() ?? [])][0]?.patient.name ?? 'a patient without analyses'}
          . No other patient is shown.
        </p>
      )}
      <main class="panes">
        <section class="pane-list" aria-label="Studies">
          {rows.length === 0 && <Nothing loading={live.rows === null} filter={filter} />}
          <StudyList
            {...{ rows, selectedId, select, live }}
            open={selection.open}
            listRef={selection.listRef}
          />
        </section>
        <section class="pane-detail" aria-label="Selected study">
          {row && (
            <StudyDetail
              key={row.id}
              {...{ row, others, session, select, onSignedOut }}
              nowMs={live.nowMs}
              headingRef={selection.headingRef}
              back={selection.close}
            />
          )}
        </section>
      </main>
      <p class="aside" role="status">
        {live.news}
      </p>
      {help && <HelpDialog {...{ characterKeys, setCharacterKeys }} close={() => setHelp(false)} />}
    </div>
  );
}

function rowsOf(rows: RowMap | null, patient: string | null): RowMap | null {
  if (rows === null || patient === null) return rows;
  return new Map([...rows].filter(([, row]) => row.patient.id === patient));
}

function Nothing({ loading, filter }: { loading: boolean; filter: string }) {
  if (loading) return <p class="nothing">Reading the worklist</p>;
  if (filter !== '') return <p class="nothing">No study fits the filter. Esc clears it.</p>;
  return <p class="nothing">No studies yet. They appear here by themselves.</p>;
}
