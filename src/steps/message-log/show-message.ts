import { setImmediate as turn } from 'node:timers/promises';
import { bytesIn } from '../../hl7/message-bytes.ts';
import type { LoggedAction } from './action.store.ts';
import {
  ATTEMPT_ACK_BYTES_SHOWN_MAX,
  type LoggedAttempt,
  type LoggedMessage,
  type WholeMessage,
} from './message-log.store.ts';
import { errorClassOf } from './message-sql.ts';
import { MASK, messageTree, type TreeOptions } from './message-tree.ts';
import type {
  MessageTree,
  ShownAction,
  ShownAttempt,
  ShownMessage,
  ShownReport,
  ShownWhole,
} from './shown.ts';

export function showMessage(message: LoggedMessage, unmask: boolean): ShownMessage {
  return {
    direction: message.direction,
    id: message.id,
    at: message.at.toISOString(),
    type: message.type,
    controlId: message.control_id,
    partner: message.partner,
    peer: message.peer,
    status: message.status,
    reason: message.reason,
    errorClass: errorClassOf(message.direction, message.reason),
    mrn: message.mrn === null || unmask ? message.mrn : MASK,
    accession: message.accession,
    bytes: message.bytes,
    flags: message.flags,
    repeats: message.repeats,
    endedAt: message.ended_at?.toISOString() ?? null,
    lane: message.lane,
    destination: message.destination,
    attempts: message.attempts,
  };
}

export interface Surroundings {
  /** The first part of the message. */
  readonly tree: MessageTree | null;
  readonly attempts: readonly LoggedAttempt[];
  readonly versions: readonly {
    id: string;
    created_at: Date;
    state: string;
    control_id: string;
    report_version: number;
    revision: number;
  }[];
  readonly actions: readonly LoggedAction[];
}

export async function showWhole(
  message: WholeMessage,
  around: Surroundings,
  options: TreeOptions,
): Promise<ShownWhole> {
  const { unmask } = options;
  const dropped = message.raw_dropped_at;
  const tries: ShownAttempt[] = [];
  // Each of them is a message that somebody else wrote: others may run in between.
  for (const attempt of around.attempts) {
    tries.push(await showAttempt(attempt, options));
    await turn();
  }
  return {
    ...showMessage(message, unmask),
    masked: !unmask,
    tree: around.tree,
    droppedAt: dropped?.toISOString() ?? null,
    ack: await treeOf(message.ack, options),
    outcome: {
      answered: message.outcome ?? null,
      filing: message.filing_outcome ?? null,
      location: message.filing_location || null,
    },
    report: reportOf(message),
    tries,
    versions: around.versions.map((one) => ({
      id: one.id,
      at: one.created_at.toISOString(),
      status: one.state,
      controlId: one.control_id,
      version: one.report_version,
      revision: one.revision,
    })),
    actions: around.actions.map(showAction),
  };
}

export function showAction(action: LoggedAction): ShownAction {
  const { message_id: messageId, at, ...rest } = action;
  return { ...rest, messageId, at: at.toISOString() };
}

async function showAttempt(one: LoggedAttempt, options: TreeOptions): Promise<ShownAttempt> {
  return {
    attempt: one.attempt,
    startedAt: one.started_at.toISOString(),
    ms: Math.max(0, one.ended_at.getTime() - one.started_at.getTime()),
    outcome: one.outcome,
    error: one.error,
    ack: (await treeOf(one.ack && wholeLines(one.ack), options))?.raw ?? [],
  };
}

/** Of an answer that was cut the lines that are whole: its last letter may be none. */
function wholeLines(bytes: Buffer): Buffer {
  const end = bytes.length < ATTEMPT_ACK_BYTES_SHOWN_MAX ? -1 : bytes.lastIndexOf(0x0d);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

const treeOf = async (bytes: Buffer | null, options: TreeOptions): Promise<MessageTree | null> =>
  bytes === null || bytes.length === 0 ? null : messageTree(bytesIn(bytes), options);

function reportOf(message: WholeMessage): ShownReport | null {
  if (message.report_id === undefined) return null;
  return {
    id: message.report_id,
    version: message.report_version ?? 0,
    revision: message.revision ?? 1,
    resultStatus: message.result_status ?? '',
    profile: [message.profile, message.profile_version].filter((one) => one).join(' '),
    supersededBy: message.superseded_by ?? null,
  };
}
