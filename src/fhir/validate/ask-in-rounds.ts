import type { Sql } from '../../database/database.ts';
import { knownProfiles } from '../profiles/known-profiles.ts';
import type { TerminologySource } from '../terminology-registry.ts';
import type { AskedCodes } from './bound-codes.ts';

/** A slice that a code decides may have bindings of its own; a definition does not nest deeper. */
export const ROUNDS_MAX = 5;

/**
 * Looks at each item, asks terminology once for all that none of them could be told, and looks again at those that met a question: with an answer a part
 * of them may fall into another slice, whose bindings were not met before. Ends when nothing is open, and after `ROUNDS_MAX` looks in any case.
 *
 * `each` goes through the items of a round; a long one gives others their turn in between. `beside`: what terminology is to look at beside what is stored.
 */
export async function askInRounds<T>(
  items: readonly T[],
  codes: AskedCodes,
  sql: Sql,
  look: (item: T) => void,
  { each = eachAtOnce, beside = knownProfiles }: { each?: Each<T>; beside?: TerminologySource } = {},
): Promise<void> {
  let left = items;
  for (let round = 1; ; round++) {
    const again: T[] = [];
    await each(left, (item) => {
      const before = codes.unanswered;
      look(item);
      if (codes.unanswered > before) again.push(item);
    });
    if (again.length === 0 || round === ROUNDS_MAX) return;
    await codes.answer(sql, beside);
    left = again;
  }
}

type Each<T> = (items: readonly T[], look: (item: T) => void) => unknown;

function eachAtOnce<T>(items: readonly T[], look: (item: T) => void): void {
  items.forEach(look);
}
