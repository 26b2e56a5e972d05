import { describe, expect, it } from 'vitest';
import type { Database, Transaction } from '../../database/database.ts';
import { FULL_ACCESS } from '../access-context.ts';
import type { ChangeListener, ResourceStore } from '../resource-store.ts';
import { LABELS_PER_STATEMENT, LABELS_REMEMBERED_MAX, noteLabels, readMetaInUse } from './meta.store.ts';

/** The labels of every statement that a write causes; each write has labels of its own. */
function noting() {
  const noted: number[] = [];
  const listeners: ChangeListener[] = [];
  noteLabels({ onChange: (one: ChangeListener) => listeners.push(one) } as unknown as ResourceStore);
  const write = async (...codes: string[]) => {
    const ends: (() => void)[] = [];
    const tx = {
      run: async (_statement: unknown, [types]: [string[]]) => void noted.push(types.length),
      afterCommit: (end: () => void) => ends.push(end),
    };
    const resource = { resourceType: 'Basic', meta: { tag: codes.map((code) => ({ code })) } };
    for (const listener of listeners)
      await listener(
        tx as unknown as Transaction,
        [{ type: 'Basic', resource }] as never,
        FULL_ACCESS,
        false,
      );
    for (const end of ends) end();
  };
  return { noted, write };
}

const codes = (from: number, count: number) => Array.from({ length: count }, (_, at) => `c${from + at}`);

describe('the labels of what is written', () => {
  it('are noted once each, with no statement for those that are known', async () => {
    const { noted, write } = noting();
    await write('a', 'b');
    await write('b', 'a');
    await write('a', 'c');
    expect(noted).toEqual([2, 1]);
  });

  it('are remembered up to a number; beyond it all are forgotten, and noted again when they are met', async () => {
    const { noted, write } = noting();
    await write(...codes(0, LABELS_REMEMBERED_MAX));
    await write('one-more');
    await write('c0');
    expect(noted).toEqual([LABELS_REMEMBERED_MAX, 1]);
    // Now there is one more than may be remembered: the next new one clears the memory.
    await write('the-last');
    await write('c0');
    expect(noted.slice(2)).toEqual([1, 1]);
  });
});

describe('the labels in use', () => {
  const statementsFor = async (count: number) => {
    const asked: number[] = [];
    const tx = {
      run: async ({ text, name }: { text: string; name?: string }) => {
        if (name === 'label-noted')
          return codes(0, count).map((code) => ({
            type: 'Basic',
            entry: `Basic._tag@|${code}`,
            kind: 'tag',
            value: '{}',
          }));
        if (text.includes('UNION ALL') || text.startsWith('SELECT 0'))
          asked.push(text.split(' AS at ').length - 1);
        return [];
      },
    };
    const database = { transaction: (work: (tx: unknown) => Promise<void>) => work(tx) };
    await readMetaInUse(
      database as unknown as Database,
      ['Basic'],
      FULL_ACCESS,
      'https://prelim.example/fhir',
    );
    return asked;
  };

  it('are asked for in statements of so many', async () => {
    expect(await statementsFor(LABELS_PER_STATEMENT)).toEqual([LABELS_PER_STATEMENT]);
    expect(await statementsFor(LABELS_PER_STATEMENT + 1)).toEqual([LABELS_PER_STATEMENT, 1]);
  });
});
