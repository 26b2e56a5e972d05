import type { Statement, Transaction } from '../../database/database.ts';
import type { Moment } from './message-times.ts';

/** By which message each element of a resource was said last. */
export type ToldElements = ReadonlyMap<string, Moment>;
/** By `Patient/1`. What is not in it was said by no message yet. */
export type Told = ReadonlyMap<string, ToldElements>;

/** Several elements mostly have one moment, that of one message. */
interface ToldRow {
  readonly type: string;
  readonly resource_id: string;
  /** `SaidThen` as JSON: read and written whole, so it is text. */
  readonly told: string;
}

type SaidThen = readonly { readonly at: Moment; readonly elements: readonly string[] }[];

/** Table `hl7_told`: names of elements, times and senders; nothing of what was said. */
export async function readTold(tx: Transaction, refs: readonly string[]): Promise<Told> {
  if (refs.length === 0) return new Map();
  const rows = await tx.run<ToldRow>(READ, columnsOf(refs));
  return new Map(rows.map((row) => [`${row.type}/${row.resource_id}`, elementsOf(row)]));
}

export async function writeTold(tx: Transaction, told: Told): Promise<void> {
  if (told.size === 0) return;
  const rows = [...told.values()].map((elements) => JSON.stringify(groupsOf(elements)));
  await tx.run(WRITE, [...columnsOf([...told.keys()]), rows]);
}

const columnsOf = (refs: readonly string[]): string[][] => [
  refs.map((ref) => ref.split('/')[0]!),
  refs.map((ref) => ref.split('/')[1]!),
];

const elementsOf = ({ told }: ToldRow): ToldElements =>
  new Map(
    (JSON.parse(told) as SaidThen).flatMap(({ at, elements }) => elements.map((name) => [name, at] as const)),
  );

function groupsOf(told: ToldElements): SaidThen {
  const groups = Map.groupBy(told, ([, at]) => at);
  return [...groups].map(([at, all]) => ({ at, elements: all.map(([name]) => name) }));
}

const READ: Statement = {
  name: 'filing-told',
  text: `SELECT t.type, t.resource_id, t.told FROM unnest($1::text[], $2::text[]) AS w(type, id)
    JOIN hl7_told t ON t.type = w.type AND t.resource_id = w.id`,
};
const WRITE: Statement = {
  name: 'filing-tell',
  text: `INSERT INTO hl7_told (type, resource_id, told) SELECT type, id, told FROM unnest($1::text[], $2::text[], $3::text[]) AS d(type, id, told)
    ON CONFLICT (type, resource_id) DO UPDATE SET told = EXCLUDED.told`,
};
