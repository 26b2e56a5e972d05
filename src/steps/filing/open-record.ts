import type { Identifier, Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { ResourceStore, ResourceWrite } from '../../fhir/resource-store.ts';
import type { StoredResource } from '../../fhir/stored-resource.ts';
import { ASSIGNING_AUTHORITY, authorityOfIdentifier } from '../../hl7/assigning-authority.ts';
import type { TimeSpan } from '../../hl7/time-span.ts';
import { Failure } from '../../kernel/errors.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { Outbox } from '../../queue/outbox.ts';
import { type ClockTime, isAhead, type MessageTimes, type Moment } from './message-times.ts';
import type { Told, ToldElements } from './told.store.ts';

export type Identified = Resource & { identifier?: Identifier[] };
export type Kept<T extends Resource> = T & { id: string };

/** Who says when, and what was said before of the resources that have its numbers. */
export interface Saying {
  readonly sender: string;
  readonly times: MessageTimes;
  readonly told: Told;
  readonly nowMs: number;
}

const NOBODY: Saying = { sender: '', times: {}, told: new Map(), nowMs: 0 };

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
  /** What this message says of each resource, over what was said before. */
  private readonly tells = new Map<string, Map<string, Moment>>();

  constructor(
    readonly ground: FilingGround,
    private readonly known: readonly Identified[],
    private readonly saying: Saying = NOBODY,
  ) {
    for (const one of known) this.remember(one);
  }

  /** When this message was, as far as it can be believed; `event` in place of that of the message. */
  moment(event: TimeSpan | undefined = this.saying.times.event): Moment {
    const [happened, sent] = [event, this.saying.times.sent].map((time) => this.believed(time));
    return { ...(happened ? { event: happened } : {}), ...(sent ? { sent } : {}) };
  }

  private believed(time: TimeSpan | undefined): ClockTime | undefined {
    if (time === undefined) return undefined;
    if (isAhead(time, this.saying.nowMs)) {
      this.flags.push('time-ahead');
      return undefined;
    }
    return { ...time, sender: this.saying.sender };
  }

  /** When each element was said last, before this message. Undefined: no message has said anything of it. */
  toldBefore(resource: Resource): ToldElements | undefined {
    return this.saying.told.get(keyOf(resource));
  }

  /** These elements are said by this message. One that does not say when it happened leaves what is known of that. */
  tell(resource: Resource, names: Iterable<string>, moment: Moment): void {
    const key = keyOf(resource);
    const told = this.tells.get(key) ?? new Map(this.saying.told.get(key));
    // Elements of one message share one object: they are kept together.
    const withEvent = new Map<ClockTime | undefined, Moment>([[undefined, moment]]);
    for (const name of names) {
      const event = moment.event ? undefined : told.get(name)?.event;
      const at = withEvent.get(event) ?? { ...moment, ...(event ? { event } : {}) };
      withEvent.set(event, at);
      told.set(name, at);
    }
    this.tells.set(key, told);
  }

  /** What is to be kept of who said what when. */
  get told(): Told {
    return this.tells;
  }

  /** Has this message put it already? */
  hasPut(resource: Resource): boolean {
    return this.puts.has(keyOf(resource));
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
