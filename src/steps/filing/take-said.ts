import { isDeepStrictEqual } from 'node:util';
import type { Identifier, Meta, Resource } from '@medplum/fhirtypes';
import type { TimeSpan } from '../../hl7/time-span.ts';
import { type IsLate, isOlder } from './message-times.ts';
import { type Identified, type Kept, type OpenRecord, withNumbers } from './open-record.ts';
import { type Elements, elementsOf, fromElements } from './resource-elements.ts';

/** What a message says of one resource: what it holds, and the elements that it takes back (`""`). What it does not name stays. */
export interface Said<T> {
  readonly resource: T;
  readonly deleted: readonly string[];
}

export interface Taken<T extends Resource> {
  readonly resource: Kept<T>;
  /** Something that would be different was left as it is, for a newer message had said it. */
  readonly isWithheld: boolean;
  /** Elements of `also` that a newer message had said. */
  readonly late: ReadonlySet<string>;
}

export interface Taking {
  /** In place of that of the message (ORC-9). */
  readonly event?: TimeSpan | null;
  readonly isLate?: IsLate;
  /** Elements that it is silent on: what stands for them where nothing is known is no word of it. */
  readonly silent?: readonly string[];
  /** Elements that the message says and the caller puts in. */
  readonly also?: readonly string[];
}

/**
 * Takes over what a message says: element by element, where no newer message has said it, so that the record ends as if messages that come late had come in their order.
 * Numbers and labels are added, never taken away; an extension replaces those with its URL alone, for others may have written theirs; a value of one type takes the
 * place of one of another (`deceasedDateTime` of `deceasedBoolean`).
 */
export function takeSaid<T extends Identified>(
  record: OpenRecord,
  known: Kept<T> | null,
  { resource: incoming, deleted }: Said<T>,
  newId: string,
  { event, isLate = isOlder, silent = [], also = [] }: Taking = {},
): Taken<T> {
  const moment = record.moment(event ?? undefined);
  const said = elementsOf(incoming);
  if (known) for (const name of silent) said.delete(name);
  const target = known ?? { ...incoming, id: newId };
  const told = known ? record.toldBefore(known) : undefined;
  const names = [...new Set([...said.keys(), ...deleted, ...also])].filter(
    (name) => !UNTIMED.has(name) && !silent.includes(name),
  );
  const isToldSince = (name: string) => {
    const last = told?.get(name);
    return last !== undefined && isLate(moment, last);
  };
  const late = new Set(names.filter(isToldSince));
  record.tell(
    target,
    names.filter((name) => !late.has(name)),
    moment,
  );
  if (known === null) return { resource: target as Kept<T>, isWithheld: false, late };
  const before = elementsOf(known);
  const isOther = (name: string) =>
    !also.includes(name) && !isDeepStrictEqual(said.get(name), before.get(name));
  const merged = mergedElements(before, said, deleted, late);
  return {
    resource: withNumbersAndLabels(fromElements<Kept<T>>(merged), known, incoming),
    isWithheld: [...late].some(isOther),
    late,
  };
}

function mergedElements(
  known: Elements,
  said: Elements,
  deleted: readonly string[],
  late: ReadonlySet<string>,
): Elements {
  const merged = new Map(known);
  for (const name of deleted) if (!late.has(name)) merged.delete(name);
  for (const [name, value] of said) {
    const before = merged.get(name);
    if (!late.has(name) && !(before && saysLess(name, value, before))) merged.set(name, value);
  }
  return merged;
}

/** The same with less of it: a birth date without its time, that somebody died without when, that there were several without which of them. */
function saysLess(name: string, said: Readonly<Record<string, unknown>>, known: typeof said): boolean {
  if (name === 'birthDate') return said['birthDate'] === known['birthDate'] && !('_birthDate' in said);
  if (name === 'deceased') return said['deceasedBoolean'] === true && 'deceasedDateTime' in known;
  return name === 'multipleBirth' && said['multipleBirthBoolean'] === true && 'multipleBirthInteger' in known;
}

function withNumbersAndLabels<T extends Identified>(merged: Kept<T>, known: Kept<T>, incoming: T): Kept<T> {
  const identifier: Identifier[] = withNumbers(known.identifier, incoming.identifier);
  const labels = known.meta?.security ?? [];
  const added = (incoming.meta?.security ?? []).filter(
    (one) => !labels.some(({ system, code }) => system === one.system && code === one.code),
  );
  const meta: Meta | undefined =
    added.length > 0 ? { ...known.meta, security: [...labels, ...added] } : known.meta;
  return {
    ...merged,
    ...(identifier.length > 0 ? { identifier } : {}),
    ...(meta ? { meta } : {}),
    id: known.id,
  };
}

/** Who and what it is: no message says it anew. Numbers are added, whenever they were said. */
const UNTIMED: ReadonlySet<string> = new Set([
  'resourceType',
  'id',
  'meta',
  'identifier',
  'subject',
  'intent',
]);
