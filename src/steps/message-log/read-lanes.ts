import type { OutboundDestination } from '../../queue/outbound-actions.ts';
import type { Hold, LaneStore } from './lane.store.ts';
import type { LanesView, ShownHold } from './shown.ts';

/** The lanes as the operator sees them: every destination there is, also those with nothing waiting. */
export async function readLanes(
  store: LaneStore,
  configured: readonly OutboundDestination[],
): Promise<LanesView> {
  const [depths, lanes, holds, filing] = await Promise.all([
    store.destinations(),
    store.lanes(),
    store.holds(),
    store.filing(),
  ]);
  const names = new Set([
    ...configured.map(({ name }) => name),
    ...depths.map(({ destination }) => destination),
    ...holds.map(({ destination }) => destination),
  ]);
  const shownNames = [...names].filter((name) => name !== '').sort();
  const lastAcks = await store.lastAcks(shownNames);
  const destinations = shownNames.map((name) => {
    const depth = depths.find((one) => one.destination === name);
    const known = configured.find((one) => one.name === name);
    return {
      destination: name,
      address: known?.address ?? null,
      profile: known?.profile ?? null,
      waiting: depth?.waiting ?? 0,
      lanes: depth?.lanes ?? 0,
      oldestUnsentSeconds: Math.round(depth?.oldest_s ?? 0),
      lastAckAt: lastAcks.get(name)?.toISOString() ?? null,
      held: showHold(holds.find((one) => one.destination === name && one.lane === null)),
    };
  });
  return {
    destinations,
    lanes: lanes.map((one) => ({
      lane: one.lane,
      destination: one.destination,
      waiting: one.waiting,
      oldestUnsentSeconds: Math.round(one.oldest_s),
      head: {
        id: one.head_id,
        controlId: one.head_control_id,
        attempts: one.head_attempts,
        lastError: one.head_error,
        sentAt: one.head_sent_at?.toISOString() ?? null,
      },
      held: showHold(holds.find((hold) => hold.lane === one.lane)),
    })),
    heldEmpty: holds
      .filter((hold) => hold.lane !== null && !lanes.some((one) => one.lane === hold.lane))
      .map((hold) => ({ lane: hold.lane ?? '', destination: hold.destination, held: shown(hold) })),
    filing: {
      waiting: filing.waiting,
      oldestSeconds: Math.round(filing.oldest_s),
      held: filing.held,
      headId: filing.head_id,
    },
  };
}

const shown = (hold: Hold): ShownHold => ({
  at: hold.held_at.toISOString(),
  by: hold.held_by,
  reason: hold.reason,
});
const showHold = (hold: Hold | undefined) => (hold === undefined ? null : shown(hold));
