import type { Coding, Meta } from '@medplum/fhirtypes';
import type { Database, Transaction } from '../../database/database.ts';
import type { AccessContext } from '../access-context.ts';
import type { ResourceChange, ResourceStore } from '../resource-store.ts';
import { buildRow } from '../search/build-filter.ts';
import { newBuild } from '../search/build-search.ts';
import { cutToken } from '../search/index-rows.ts';

/** A profile, tag or security label that resources of a type have, or had. */
interface Label {
  readonly type: string;
  /** What a resource that has it has among its `tokens`. */
  readonly entry: string;
  readonly kind: Kind;
  /** JSON: the Coding, or the canonical. */
  readonly value: string;
}

type Kind = 'profile' | 'tag' | 'security';

/** A question over all resources may take as long as a search; a store too large for that answers `database.timeout`. */
export const META_MS_MAX = 5_000;
/** Each is a look into the index of entries; in one statement so many are planned in some milliseconds. */
export const LABELS_PER_STATEMENT = 50;
/** Of each type so many of the first and of the last resources are looked at before the index of entries is asked. */
export const PROBED_ROWS = 200;
/** Labels that a process remembers to be noted; a store with more has some noted again for nothing. */
export const LABELS_REMEMBERED_MAX = 20_000;

/**
 * Notes each label once, in the transaction that first writes it. Where all labels of a write are known, as nearly always, that costs a look into a
 * set and no statement.
 */
export function noteLabels(store: ResourceStore): void {
  const noted = new Set<string>();
  store.onChange(async (tx, changes) => {
    const fresh = labelsOf(changes).filter(({ entry }) => !noted.has(entry));
    if (fresh.length === 0) return;
    await note(tx, fresh);
    tx.afterCommit(() => {
      if (noted.size > LABELS_REMEMBERED_MAX) noted.clear();
      for (const { entry } of fresh) noted.add(entry);
    });
  });
}

/**
 * The different profiles, tags and security labels on resources of the types, as far as the caller may search them. Of each label that was ever
 * noted one resource is looked for; that is all that is read of them.
 */
export async function readMetaInUse(
  database: Database,
  types: readonly string[],
  access: AccessContext,
  base: string,
): Promise<Required<Pick<Meta, Kind>>> {
  const found = { profile: new Set<string>(), tag: [] as Coding[], security: [] as Coding[] };
  await database.transaction(async (tx) => {
    await tx.run(BY_INDEX);
    const labels = await tx.run<Label>(NOTED, [types]);
    for (let from = 0; from < labels.length; from += LABELS_PER_STATEMENT) {
      const some = labels.slice(from, from + LABELS_PER_STATEMENT);
      const { text, values } = inUse(some, access, base);
      for (const { at } of await tx.run<{ at: number }>({ text }, values)) {
        const { kind, value } = some[at] as Label;
        if (kind === 'profile') found.profile.add(JSON.parse(value));
        else found[kind].push(JSON.parse(value));
      }
    }
  });
  return { ...found, profile: [...found.profile] };
}

/**
 * Which of the labels a resource has that the caller may search. One that many have is met among the first or the last of its type; one that few have is
 * found by the index, which collects all that have it before it gives the first. A table is never read from end to end (`BY_INDEX`): the planner would, in the
 * belief that a common label comes soon, and pass over all other types first.
 */
export function inUse(labels: readonly Pick<Label, 'type' | 'entry'>[], access: AccessContext, base: string) {
  const build = newBuild(access, base);
  const parts = labels.map(({ type, entry }, at) => {
    const asked = build.parameters.add([entry], 'text[]');
    const probe = (direction: 'ASC' | 'DESC') =>
      `EXISTS (SELECT 1 FROM (SELECT r.tokens FROM resource r WHERE ${buildRow({ type, alias: 'r', base }, [], build)}
        ORDER BY r.type ${direction}, r.id ${direction} LIMIT ${PROBED_ROWS}) p WHERE p.tokens && ${asked})`;
    const byEntry = buildRow({ type, alias: 'r', base }, [], build, false);
    return `SELECT ${at} AS at WHERE ${probe('ASC')} OR ${probe('DESC')}
      OR EXISTS (SELECT 1 FROM resource r WHERE ${byEntry} AND r.tokens && ${asked})`;
  });
  return { text: parts.join(' UNION ALL '), values: build.parameters.values };
}

/** For the transaction that asks. */
export const BY_INDEX = {
  text: `SELECT set_config('enable_seqscan', 'off', true), set_config('statement_timeout', '${META_MS_MAX}', true)`,
};

function labelsOf(changes: readonly ResourceChange[]): Label[] {
  const labels = new Map<string, Label>();
  const add = (type: string, kind: Kind, tail: string, value: unknown) => {
    const entry = cutToken(`${type}._${kind}${tail}`);
    labels.set(entry, { type, entry, kind, value: JSON.stringify(value) });
  };
  for (const { type, resource } of changes) {
    const { profile = [], tag = [], security = [] } = resource?.meta ?? {};
    for (const url of profile) add(type, 'profile', `>${url}`, url);
    for (const [kind, codings] of [['tag', tag] as const, ['security', security] as const])
      for (const { system, code, display } of codings)
        if (code) add(type, kind, `@${system ?? ''}|${code}`, { system, code, display });
  }
  return [...labels.values()];
}

const note = (tx: Transaction, labels: readonly Label[]): Promise<unknown> =>
  tx.run(NOTE, [
    labels.map(({ type }) => type),
    labels.map(({ entry }) => entry),
    labels.map(({ kind }) => kind),
    labels.map(({ value }) => value),
  ]);

/** In one order for all, so that two writes with the same new labels do not wait for each other. */
const NOTE = {
  name: 'label-note',
  text: `INSERT INTO resource_label (type, entry, kind, value)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS l(type, entry, kind, value) ORDER BY 1, 2
    ON CONFLICT DO NOTHING`,
};

const NOTED = {
  name: 'label-noted',
  text: 'SELECT type, entry, kind, value FROM resource_label WHERE type = ANY($1) ORDER BY type, entry',
};
