import { useMemo, useState } from 'preact/hooks';
import { type RowMap, sameStudy } from './choose-rows.ts';
import { HelpDialog } from './help-dialog.tsx';
import { StudyDetail } from './study-detail.tsx';
import { StudyList } from './study-list.tsx';
import { TopBar } from './top-bar.tsx';
import { useKeyboard } from './use-keyboard.ts';
import { useRows } from './use-rows.ts';
import { useSelection } from './use-selection.ts';

interface WorklistProps {
  readonly token: string;
  /** Logical id of the Patient that is open in the EHR: no other is shown. */
  readonly patient: string | null;
  readonly onSignedOut: (status: number) => void;
  readonly signOut: () => void;
}

/** The page after sign-in: list left, study right. On a narrow screen one of the two. */
export function Worklist({ token, patient, onSignedOut, signOut }: WorklistProps) {
  const all = useRows(token, onSignedOut);
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
              {...{ row, others, token, select, onSignedOut }}
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
