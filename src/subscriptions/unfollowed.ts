import type { Subscription } from '@medplum/fhirtypes';
import type { Transaction } from '../database/database.ts';
import type { Outbox } from '../queue/outbox.ts';

export const CRITERIA_QUEUE = 'subscription-criteria';

const UNFOLLOWED = 'This Subscription cannot be followed:';

/** What `Subscription.error` says where not the listener is at fault but what the Subscription names. */
export const unfollowed = (why: string): string =>
  `${UNFOLLOWED} ${why} What is written meanwhile is not told. It goes on by itself when that is put right.`;

/** In `error` for such a reason: an answer of the listener does not end it. */
export const isUnfollowed = ({ status, error }: Subscription): boolean =>
  status === 'error' && error?.startsWith(UNFOLLOWED) === true;

/** To be looked at after the commit: what Subscriptions go by has changed. Many changes in a row are one look. */
export function queueCriteriaCheck(outbox: Outbox, tx: Transaction): Promise<void> {
  return outbox.add(tx, [{ queue: CRITERIA_QUEUE, key: 'all', payload: {} }]);
}
