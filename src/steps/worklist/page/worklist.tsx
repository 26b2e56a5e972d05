import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { chooseRows, moveFrom, sameStudy } from './choose-rows.ts';
import { HelpDialog } from './help-dialog.tsx';
import { StudyDetail } from './study-detail.tsx';
import { StudyList } from './study-list.tsx';
import { TopBar } from './top-bar.tsx';
import { type KeyAction, useKeyboard } from './use-keyboard.ts';
import { useRows } from './use-rows.ts';

interface WorklistProps {
  readonly token: string;
  readonly onSignedOut: (status: number) => void;
  readonly signOut: () => void;
}

/** The page after sign-in: list left, study right. On a narrow screen one of the two. */
export function Worklist({ token, onSignedOut, signOut }: WorklistProps) {
  const live = useRows(token, onSignedOut);
  const [filter, setFilter] = useState('');
  const [selectedId, select] = useState<string | null>(null);
  const [opened, setOpened] = useState(false);
  const [help, setHelp] = useState(false);
  const [characterKeys, setCharacterKeys] = useState(true);
  const list = useRef<HTMLDivElement>(null);
  const filterBox = useRef<HTMLInputElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);

  const rows = useMemo(() => chooseRows(live.rows ?? new Map(), filter), [live.rows, filter]);
  // The study on the right is found among all rows: a filter must not take away what is being read.
  const row = selectedId === null ? undefined : live.rows?.get(selectedId);
  const others = useMemo(() => sameStudy(live.rows ?? new Map(), row), [live.rows, row]);
  useEffect(() => {
    if (selectedId === null && rows[0]) select(rows[0].id);
  }, [rows, selectedId]);
  useEffect(() => list.current?.focus(), [live.rows !== null]);

  const close = () => {
    setOpened(false);
    list.current?.focus();
  };
  const act = (action: KeyAction): boolean => {
    if (help) return false;
    const inFilter = document.activeElement === filterBox.current;
    switch (action) {
      case 'next':
        if (inFilter) list.current?.focus();
        select(moveFrom(rows, selectedId, inFilter ? 0 : 1));
        return true;
      case 'previous':
        select(moveFrom(rows, selectedId, -1));
        return true;
      case 'first':
        select(rows[0]?.id ?? null);
        return true;
      case 'last':
        select(rows.at(-1)?.id ?? null);
        return true;
      case 'open':
        if (inFilter) select(moveFrom(rows, selectedId, 0));
        setOpened(true);
        requestAnimationFrame(() => heading.current?.focus());
        return true;
      case 'filter':
        setOpened(false);
        requestAnimationFrame(() => filterBox.current?.select());
        return true;
      case 'help':
        setHelp(true);
        return true;
      case 'back':
        if (!opened || inFilter) setFilter('');
        close();
        return true;
    }
  };
  useKeyboard(act, characterKeys);

  return (
    <div class={opened ? 'worklist worklist-opened' : 'worklist'}>
      <TopBar
        live={live}
        shown={rows.length}
        filter={filter}
        setFilter={setFilter}
        filterRef={filterBox}
        help={() => setHelp(true)}
        signOut={signOut}
      />
      <main class="panes">
        <section class="pane-list" aria-label="Studies">
          {rows.length === 0 && <Nothing loading={live.rows === null} filter={filter} />}
          <StudyList
            rows={rows}
            selectedId={selectedId}
            more={live.more}
            nowMs={live.nowMs}
            select={select}
            open={() => setOpened(true)}
            listRef={list}
          />
        </section>
        <section class="pane-detail" aria-label="Selected study">
          {row && (
            <StudyDetail
              key={row.id}
              row={row}
              token={token}
              nowMs={live.nowMs}
              headingRef={heading}
              others={others}
              select={select}
              back={close}
              onSignedOut={onSignedOut}
            />
          )}
        </section>
      </main>
      <p class="aside" role="status">
        {live.news}
      </p>
      {help && (
        <HelpDialog
          characterKeys={characterKeys}
          setCharacterKeys={setCharacterKeys}
          close={() => setHelp(false)}
        />
      )}
    </div>
  );
}

function Nothing({ loading, filter }: { loading: boolean; filter: string }) {
  if (loading) return <p class="nothing">Reading the worklist</p>;
  if (filter !== '') return <p class="nothing">No study fits the filter. Esc clears it.</p>;
  return <p class="nothing">No studies yet. They appear here by themselves.</p>;
}
