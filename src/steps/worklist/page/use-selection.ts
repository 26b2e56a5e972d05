import type { RefObject } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { WorklistRow } from '../worklist-row.ts';
import { chooseRows, moveFrom, type RowMap } from './choose-rows.ts';
import type { KeyActions } from './use-keyboard.ts';

export interface Selection {
  /** The rows that the filter lets through, most urgent first. */
  readonly rows: readonly WorklistRow[];
  /** The selected row, found among all rows: a filter must not take away what is being read. */
  readonly row: WorklistRow | undefined;
  readonly selectedId: string | null;
  readonly select: (id: string) => void;
  readonly filter: string;
  readonly setFilter: (filter: string) => void;
  /** On a narrow screen: the study is shown instead of the list. */
  readonly opened: boolean;
  readonly open: () => void;
  readonly close: () => void;
  readonly actions: Omit<KeyActions, 'help'>;
  readonly listRef: RefObject<HTMLDivElement | null>;
  readonly filterRef: RefObject<HTMLInputElement | null>;
  readonly headingRef: RefObject<HTMLHeadingElement | null>;
}

/** Which row is selected, what the filter lets through, where the focus is, and how the keys change all that. */
export function useSelection(all: RowMap | null): Selection {
  const [filter, setFilter] = useState('');
  const [selectedId, select] = useState<string | null>(null);
  const [opened, setOpened] = useState(false);
  const listRef = useRef<HTMLDivElement>(null);
  const filterRef = useRef<HTMLInputElement>(null);
  const headingRef = useRef<HTMLHeadingElement>(null);

  const rows = useMemo(() => chooseRows(all ?? new Map(), filter), [all, filter]);
  const row = selectedId === null ? undefined : all?.get(selectedId);
  useEffect(() => {
    if (row === undefined && rows[0]) select(rows[0].id);
  }, [rows, row]);
  useEffect(() => listRef.current?.focus(), [all !== null]);

  const open = () => setOpened(true);
  const close = () => {
    setOpened(false);
    listRef.current?.focus();
  };
  const actions: Selection['actions'] = {
    next: (inFilter) => {
      // Out of the filter box the first step is onto the list, not past its first row.
      select(moveFrom(rows, selectedId, inFilter ? 0 : 1));
      if (inFilter) listRef.current?.focus();
    },
    previous: () => select(moveFrom(rows, selectedId, -1)),
    first: () => select(rows[0]?.id ?? null),
    last: () => select(rows.at(-1)?.id ?? null),
    open: (inFilter) => {
      if (inFilter) select(moveFrom(rows, selectedId, 0));
      open();
      requestAnimationFrame(() => headingRef.current?.focus());
    },
    filter: () => {
      setOpened(false);
      requestAnimationFrame(() => filterRef.current?.select());
    },
    back: (inFilter) => {
      if (!opened || inFilter) setFilter('');
      close();
    },
  };
  return {
    rows,
    row,
    selectedId,
    select,
    filter,
    setFilter,
    opened,
    open,
    close,
    actions,
    listRef,
    filterRef,
    headingRef,
  };
}
