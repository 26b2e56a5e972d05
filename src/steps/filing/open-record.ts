import type { Extension, Identifier, Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { ResourceStore, ResourceWrite } from '../../fhir/resource-store.ts';
import type { StoredResource } from '../../fhir/stored-resource.ts';
import { ASSIGNING_AUTHORITY, authorityOfIdentifier } from '../../hl7/assigning-authority.ts';
import { Failure } from '../../kernel/errors.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { Outbox } from '../../queue/outbox.ts';

export type Identified = Resource & { identifier?: Identifier[] };
export type Kept<T extends Resource> = T & { id: string };

/** Where filing happens: one transaction. */
export interface FilingGround {
  readonly tx: Transaction;
  readonly store: ResourceStore;
  readonly outbox: Outbox;
}

/**
 * The record as one message sees it: the resources that have its numbers, and over them what it has put already. Nothing is written
 * before the whole message was placed, so one that is refused leaves nothing.
 */
export class OpenRecord {
  readonly flags: string[] = [];
  private readonly puts = new Map<string, Kept<Resource>>();
  private readonly flushed: Identified[] = [];
  /** Of everything that was read; what is not in it is new. */
  private readonly versions = new Map<string, string>();

  constructor(
    readonly ground: FilingGround,
    private readonly known: readonly Identified[],
  ) {
    for (const one of known) this.remember(one);
  }

  /** Resources of the type that have the number, as they stand now. */
  withNumber<T extends Identified>(type: T['resourceType'], number: Identifier): Kept<T>[] {
    const newest = new Map(
      [...this.known, ...this.flushed, ...this.puts.values()].map((one) => [keyOf(one), one]),
    );
    return [...newest.values()].filter(
      (one) => one.resourceType === type && hasNumber(one, number),
    ) as Kept<T>[];
  }

  /**
   * The resource that has one of the numbers, the first number that is known deciding; the one that filing would have made before others,
   * which came another way. Throws `fhir.multiple-matches`.
   */
  find<T extends Identified>(type: T['resourceType'], numbers: readonly Identifier[]): Kept<T> | null {
    for (const number of numbers) {
      const found = this.withNumber<T>(type, number);
      const own = found.find((one) => one.id === idOf(type, number));
      if (own) return own;
      if (found.length > 1) throw severalHave(type);
      if (found[0]) return found[0];
    }
    return null;
  }

  /** Reads a resource by its id; null when it is not there or deleted. */
  async read<T extends Resource>(type: T['resourceType'], id: string): Promise<Kept<T> | null> {
    const put = this.puts.get(`${type}/${id}`);
    if (put) return put as Kept<T>;
    const stored = await this.ground.store.read(type, id, this.ground.tx);
    if (stored === null || stored.deleted) return null;
    const resource = stored.parse<Kept<T>>();
    this.remember(resource);
    return resource;
  }

  /** Many at once, those that are there. */
  async readMany<T extends Resource>(type: T['resourceType'], ids: readonly string[]): Promise<Kept<T>[]> {
    if (ids.length === 0) return [];
    const refs = ids.map((id) => ({ type, id }));
    const all = (await this.ground.store.readMany(refs, this.ground.tx)).map((stored) =>
      stored.parse<Kept<T>>(),
    );
    for (const one of all) this.remember(one);
    return all;
  }

  private remember(one: Resource): void {
    this.versions.set(keyOf(one), String(one.meta?.versionId));
  }

  /** The next version of a resource; the same content makes none. */
  put(resource: Kept<Resource>): void {
    this.puts.set(keyOf(resource), resource);
  }

  /** What was put, to be written if nobody else has changed it since it was read. */
  writes(): ResourceWrite[] {
    return [...this.puts.values()].map((resource) => ({
      kind: 'update',
      resource,
      unchanged: 'skip',
      ifVersion: this.versions.get(keyOf(resource)) ?? null,
    }));
  }

  /**
   * Writes what was put, and more beside it, before the message is placed to its end: for one that has a round of its own, whose end is the transaction's. Gives what was
   * written of `more`.
   */
  async flush(more: readonly ResourceWrite[] = []): Promise<StoredResource[]> {
    const own = this.writes();
    const written = await this.ground.store.write(this.ground.tx, [...own, ...more]);
    for (const stored of written) this.versions.set(`${stored.type}/${stored.id}`, stored.versionId);
    this.flushed.push(...(this.puts.values() as Iterable<Identified>));
    this.puts.clear();
    return written.slice(own.length);
  }
}

const keyOf = ({ resourceType, id }: Resource) => `${resourceType}/${id}`;

/** The same number gives the same id, so that a message filed twice makes one resource. */
export const idOf = (type: string, { system, value }: Identifier) =>
  stableId(type, String(system), String(value));

export function hasNumber(resource: Resource | { identifier?: Identifier[] }, number: Identifier): boolean {
  const { identifier = [] } = resource as { identifier?: Identifier[] };
  return identifier.some((one) => isSameNumber(one, number));
}

const isSameNumber = (one: Identifier, other: Identifier): boolean =>
  one.system === other.system && one.value === other.value;

/**
 * What the message says replaces, what it does not say stays. Numbers and labels are added, never taken away; an extension replaces those with its URL alone, for
 * others may have written theirs; a value of one type takes the place of one of another (`deceasedDateTime` of `deceasedBoolean`).
 */
export function mergeInto<T extends Identified>(known: Kept<T> | null, incoming: T, newId: string): Kept<T> {
  if (known === null) return { ...incoming, id: newId };
  const identifier = withNumbers(known.identifier, incoming.identifier);
  const [before, said]: [Extended, Extended] = [known, incoming];
  const urls = new Set(said.extension?.map(({ url }) => url));
  const extension = [
    ...(before.extension ?? []).filter(({ url }) => !urls.has(url)),
    ...(said.extension ?? []),
  ];
  const security = said.meta?.security?.filter(
    (one) => !before.meta?.security?.some(({ system, code }) => system === one.system && code === one.code),
  );
  return {
    ...withoutOtherTypes(known, incoming),
    ...incoming,
    ...(extension.length > 0 ? { extension } : {}),
    ...(identifier.length > 0 ? { identifier } : {}),
    ...(known.meta || security
      ? {
          meta: security?.length
            ? { ...known.meta, security: [...(known.meta?.security ?? []), ...security] }
            : known.meta,
        }
      : {}),
    id: known.id,
  };
}

type Extended = Resource & { extension?: Extension[] };

/** Elements of which FHIR allows one type at a time, as far as messages fill them. */
const CHOICES = ['deceased', 'multipleBirth', 'occurrence', 'onset', 'value', 'effective'] as const;

/** Without what the message says in another type, and without the time of a birth whose date it says anew. */
function withoutOtherTypes<T extends Resource>(known: T, incoming: T): T {
  const said = Object.keys(incoming);
  const replaced = CHOICES.filter((name) => said.some((key) => isChoice(key, name)));
  const birthDate = (one: Resource) => (one as { birthDate?: string }).birthDate;
  const hasNewBirth = birthDate(incoming) !== undefined && birthDate(incoming) !== birthDate(known);
  const kept = Object.entries(known).filter(
    ([key]) => !replaced.some((name) => isChoice(key, name)) && !(hasNewBirth && key === '_birthDate'),
  );
  return Object.fromEntries(kept) as unknown as T;
}

const isChoice = (key: string, name: string) => key.startsWith(name) && /^[A-Z]/.test(key.slice(name.length));

/** The numbers of the first list, each with its authority as the list says it that says more of it; then those of the second that the first lacks. */
export function withNumbers(
  first: readonly Identifier[] = [],
  second: readonly Identifier[] = [],
): Identifier[] {
  const all = first.map((one) =>
    withAuthority(
      one,
      second.find((other) => isSameNumber(one, other)),
    ),
  );
  for (const one of second) if (!hasNumber({ identifier: all }, one)) all.push(one);
  return all;
}

/** What images, or another sender, named by half of it goes out in full once somebody has said it; never the other way round, or each message would change it. */
function withAuthority(known: Identifier, said: Identifier | undefined): Identifier {
  if (said === undefined || partsOf(said) <= partsOf(known)) return known;
  const others = known.extension?.filter(({ url }) => url !== ASSIGNING_AUTHORITY) ?? [];
  const extension = [...others, ...(said.extension ?? []).filter(({ url }) => url === ASSIGNING_AUTHORITY)];
  const { extension: _before, ...rest } = known;
  return {
    ...rest,
    ...(extension.length > 0 ? { extension } : {}),
    ...(said.assigner ? { assigner: said.assigner } : {}),
  };
}

const partsOf = (identifier: Identifier): number =>
  Object.values(authorityOfIdentifier(identifier)).filter((part) => part !== '').length;

export const keysOf = (resources: readonly Identified[]): string[] =>
  resources.flatMap((one) =>
    (one.identifier ?? []).map(({ system, value }) => `${one.resourceType} ${system} ${value}`),
  );

export function severalHave(type: string): Failure {
  return new Failure(
    'fhir.multiple-matches',
    `Several ${type} resources have the number that was sent; mend that first.`,
  );
}
