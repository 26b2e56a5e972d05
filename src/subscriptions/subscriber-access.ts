import { isDeepStrictEqual } from 'node:util';
import type { Subscription } from '@medplum/fhirtypes';
import { type AccessContext, accessOfGrant, FULL_ACCESS, type Granted } from '../fhir/access-context.ts';
import type { Criteria } from '../fhir/match-criteria.ts';
import { resourceTypes } from '../fhir/resource-types.ts';
import { SqlParameters } from '../fhir/sql-parameters.ts';
import { Failure } from '../kernel/errors.ts';
import type { DeliveryState } from './subscription.store.ts';

type Filter = Criteria['filters'][number];

/**
 * What a subscriber may see at the moment of a delivery: the one place that says so. It is what the author of the Subscription may, by the grant under which it
 * was written last and by the rules of today; never more than reading. Every read of a delivery, of `$events` over a socket, and of what a topic sends along goes
 * through it.
 */
export function accessOfSubscriber(state: Pick<DeliveryState, 'readable' | 'author'>): AccessContext {
  if (state.author) return readingOf(accessOfGrant(state.author), state.readable);
  if (state.readable === null) return FULL_ACCESS;
  const readable = new Set(state.readable);
  return {
    allows: (type, interaction) => (interaction === 'read' || interaction === 'search') && readable.has(type),
    condition: () => null,
  };
}

/**
 * What whoever listens to a Subscription may see that is perhaps somebody else's: no more than both. Null: they have the same rights, and its author's say it all.
 */
export function accessOfReader(
  reader: Granted,
  state: Pick<DeliveryState, 'readable' | 'author'>,
): AccessContext | null {
  const { tokenId: _token, family: _family, ...rights } = reader;
  if (state.author && isDeepStrictEqual(rights, state.author)) return null;
  const [own, theirs] = [readingOf(accessOfGrant(reader), null), accessOfSubscriber(state)];
  return {
    allows: (type, interaction) => own.allows(type, interaction) && theirs.allows(type, interaction),
    condition: (type, interaction, alias, parameters) => {
      const parts = [own, theirs].flatMap((one) => one.condition(type, interaction, alias, parameters) ?? []);
      return parts.length === 0 ? null : parts.map((part) => `(${part})`).join(' AND ');
    },
  };
}

/** Who may read a focus may be sent what its topic sends along: a notification is no search of its own. */
function readingOf(access: AccessContext, readable: readonly string[] | null): AccessContext {
  const types = readable && new Set(readable);
  const { shows, extent } = access;
  return {
    allows: (type, interaction) =>
      (interaction === 'read' || interaction === 'search') &&
      types?.has(type) !== false &&
      access.allows(type, 'read'),
    condition: (type, _interaction, alias, parameters) => access.condition(type, 'read', alias, parameters),
    ...(shows ? { shows } : {}),
    ...(extent ? { extent: (type) => extent(type, 'read') } : {}),
  };
}

/** What is kept of the author beside the types; null: the server itself, or no token. */
export const authorOf = ({ grant }: AccessContext): Granted | null => grant ?? null;

/**
 * Criteria that ask of other resources (a chain, `_has`) would tell by their events what the author may not see. They are for authors who see all of what
 * they ask.
 *
 * @throws Failure `fhir.unsupported`
 */
export function checkReach(filters: readonly Filter[], access: AccessContext): void {
  for (const type of filters.flatMap(typesAsked)) {
    const all =
      access.allows(type, 'search') && access.condition(type, 'search', 'r', new SqlParameters()) === null;
    if (!all)
      throw new Failure(
        'fhir.unsupported',
        'Criteria with a chain or _has need a token that may search all resources of the types they lead to.',
      );
  }
}

function typesAsked(filter: Filter): string[] {
  switch (filter.kind) {
    case 'chain':
      return filter.links.flatMap((link) => [link.type, ...typesAsked(link.filter)]);
    case 'has':
      return [...filter.parameters.map(({ type }) => type), ...typesAsked(filter.filter)];
    case 'any':
      return filter.of.flatMap(typesAsked);
    case 'not':
      return typesAsked(filter.filter);
    default:
      return [];
  }
}

/** What is kept of the author's rights; null: all, or written by the server itself. */
export function readableTypes(access: AccessContext): readonly string[] | null {
  if (access === FULL_ACCESS) return null;
  return resourceTypes().filter((type) => access.allows(type, 'read'));
}

/**
 * A client asks (`requested`) or switches off; the server alone says `active` and `error` (R4 subscription.html, "status"). An update that leaves
 * status, criteria and channel as they are is no asking.
 *
 * @throws Failure `fhir.invalid`
 */
export function checkStatus(
  subscription: Subscription,
  previous: Subscription | undefined,
  access: AccessContext,
): void {
  if (access === FULL_ACCESS || subscription.status === 'requested' || subscription.status === 'off') return;
  if (previous && isDeepStrictEqual(whatCounts(subscription), whatCounts(previous))) return;
  throw new Failure(
    'fhir.invalid',
    'Write a Subscription with the status requested: the server sets it to active, after a handshake where its topic has one.',
    {
      issues: [
        {
          at: 'Subscription.status',
          text: 'must be requested (or off): the server sets it to active',
        },
      ],
    },
  );
}

function whatCounts(subscription: Subscription): unknown {
  const { status, criteria, channel } = subscription;
  const { _criteria } = subscription as { _criteria?: unknown };
  return JSON.parse(JSON.stringify({ status, criteria, channel, _criteria }));
}
