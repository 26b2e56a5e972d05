import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { WorklistRow } from '../worklist-row.ts';
import { rowElementId, StudyRow } from './study-row.tsx';
import type { LiveRows } from './use-rows.ts';

interface StudyListProps {
  readonly rows: readonly WorklistRow[];
  readonly selectedId: string | null;
  readonly live: LiveRows;
  readonly select: (id: string) => void;
  readonly open: (id: string) => void;
  readonly listRef: RefObject<HTMLDivElement | null>;
}

/**
 * The list, most urgent first. It is a listbox: the focus stays on the list and `aria-activedescendant` names the selected
 * row, so a row that moves, or a list that is drawn anew, never takes the focus away from under the reader.
 */
export function StudyList({ rows, selectedId, live, select, open, listRef }: StudyListProps) {
  useKeepInView(listRef, selectedId, rows);
  const present = rows.some((row) => row.id === selectedId);
  return (
    <div
      class="list"
      role="listbox"
      aria-label="Studies, most urgent first"
      tabIndex={0}
      ref={listRef}
      {...(present && selectedId !== null ? { 'aria-activedescendant': rowElementId(selectedId) } : {})}
    >
      {rows.map((row) => (
        <StudyRow
          key={row.id}
          row={row}
          selected={row.id === selectedId}
          nowMs={live.nowMs}
          select={(id) => {
            select(id);
            open(id);
          }}
        />
      ))}
      {live.more && (
        <p class="nothing">Only the newest analyses are listed. Older ones are in the FHIR record.</p>
      )}
    </div>
  );
}

/**
 * A row just selected is scrolled into view. When rows move by themselves, the selected row keeps its place on the screen,
 * unless the list stands at its top: there new urgent rows must be seen.
 */
function useKeepInView(
  list: RefObject<HTMLDivElement | null>,
  selectedId: string | null,
  rows: readonly WorklistRow[],
): void {
  const place = useRef<{ id: string; top: number } | null>(null);
  const element = () => (selectedId === null ? null : document.getElementById(rowElementId(selectedId)));

  useEffect(() => {
    element()?.scrollIntoView({ block: 'nearest' });
  }, [selectedId]);

  useLayoutEffect(() => {
    const row = element();
    const box = list.current;
    if (!row || !box || selectedId === null) return;
    const before = place.current;
    const moved = before?.id === selectedId ? row.offsetTop - before.top : 0;
    if (moved !== 0 && box.scrollTop > 0) box.scrollTop += moved;
    place.current = { id: selectedId, top: row.offsetTop };
  }, [rows, selectedId]);
}
