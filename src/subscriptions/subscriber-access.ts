import { isDeepStrictEqual } from 'node:util';
import type { Subscription } from '@medplum/fhirtypes';
import { type AccessContext, FULL_ACCESS } from '../fhir/access-context.ts';
import { resourceTypes } from '../fhir/resource-types.ts';
import { Failure } from '../kernel/errors.ts';
import type { DeliveryState } from './subscription.store.ts';

/**
 * What a subscriber may see at the moment of a delivery: the one place that says so. Today: the types that the author of the Subscription could read when
 * it was written last. Every read of a delivery, of `$events` over a socket, and of what a topic sends along goes through it.
 */
export function accessOfSubscriber(state: Pick<DeliveryState, 'readable'>): AccessContext {
  if (state.readable === null) return FULL_ACCESS;
  const readable = new Set(state.readable);
  return {
    allows: (type, interaction) => (interaction === 'read' || interaction === 'search') && readable.has(type),
    condition: () => null,
  };
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
    { issues: [{ at: 'Subscription.status', text: 'must be requested or off' }] },
  );
}

function whatCounts(subscription: Subscription): unknown {
  const { status, criteria, channel } = subscription;
  const { _criteria } = subscription as { _criteria?: unknown };
  return JSON.parse(JSON.stringify({ status, criteria, channel, _criteria }));
}
