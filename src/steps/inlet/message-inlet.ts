import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { type AckOutcome, acknowledgements, outcomeOfFailure } from '../../hl7/ack.ts';
import { DOOR_LOAD } from '../../hl7/door-load.ts';
import { type MessageHeader, readHeader } from '../../hl7/message-header.ts';
import { type ScannedMessage, scanMessage } from '../../hl7/scan-message.ts';
import { readSenderCharsets, type SenderCharsets } from '../../hl7/sender-charsets.ts';
import { splitBatch } from '../../hl7/split-batch.ts';
import { Failure } from '../../kernel/errors.ts';
import { GroupCommit, type GroupOptions } from '../../kernel/group-commit.ts';
import { checkMessage, typeOf } from './check-message.ts';
import { DoorEvents } from './door-events.ts';
import { FilingCall } from './filing-call.ts';
import { columnText, type InboundMessage, InboundMessageStore, keyOf } from './inbound-message.store.ts';

/** More messages in one frame are no batch but a fault or an attack: each would be a row of its own. */
export const BATCH_MESSAGES_MAX = 10_000;

/** One group is made ready while the database works on the other. */
export const GROUPS_IN_FLIGHT_MAX = 2;
/** Short beside a commit. */
const GATHER_MS = 2;

/** How messages share commits. What may pass with a later try (no database) has failed for all of a group: the senders keep it. */
export const INLET_GROUPS: GroupOptions = {
  groupsMax: GROUPS_IN_FLIGHT_MAX,
  gatherMs: GATHER_MS,
  mayTryAlone: (error) => !(error instanceof Failure && error.retry),
};

/**
 * Message in: bytes → a look at what can be refused at once → stored → acknowledged. Nothing is parsed or filed here: that follows, in the
 * order of storing (`steps/filing`). AA and AR are given only after the commit; when the commit fails the answer is AE, and
 * the sender keeps the message. Messages that come at the same time over several connections share a commit.
 */
@Injectable()
export class MessageInlet {
  private readonly group = new GroupCommit<InboundMessage, readonly Buffer[]>(
    (group) => this.keep(group),
    INLET_GROUPS,
  );

  private readonly charsets: SenderCharsets;

  constructor(
    private readonly messages: InboundMessageStore,
    private readonly filing: FilingCall,
    private readonly events: DoorEvents,
    @Inject(SETTINGS) settings: Pick<Settings, 'HL7_CHARSET'>,
  ) {
    this.charsets = readSenderCharsets(settings.HL7_CHARSET);
  }

  /** Answers one frame: a message, or a batch whose messages are answered one by one, in their order. Never throws. */
  async take(frame: Buffer, peer = ''): Promise<Buffer[]> {
    const messages = splitBatch(frame);
    const tooMany = messages.length > BATCH_MESSAGES_MAX;
    // An empty batch is answered as what it is: a frame without a message.
    const each = tooMany || messages.length === 0 ? [frame] : messages;
    const answers = await Promise.all(each.map((message) => this.takeOne(message, { peer, tooMany, frame })));
    return answers.flat();
  }

  private async takeOne(bytes: Buffer, from: Origin): Promise<readonly Buffer[]> {
    const header = readHeader(bytes);
    try {
      const message = lookAt(bytes, header, from, this.charsets(header));
      return await this.group.add(message, keysOf(message), bytes.length, from.frame);
    } catch (error) {
      return answersTo(bytes, header, { ...outcomeOfFailure(error), kind: 'error' });
    }
  }

  private async keep(group: readonly InboundMessage[]): Promise<(readonly Buffer[])[]> {
    DOOR_LOAD.took(group.length);
    const kept = await this.messages.keep(group);
    for (const { outcome } of group) if (outcome !== 'accept') this.events.refuse(outcome);
    if (group.some(({ outcome }, at) => outcome === 'accept' && kept[at]?.kind === 'new')) this.filing.call();
    return group.map((message, at) => {
      const one = kept[at];
      if (one?.kind === 'gone') return answersTo(message.bytes, readHeader(message.bytes), TRY_AGAIN);
      return one?.kind === 'repeat' ? one.acks : message.acks;
    });
  }
}

/** The frame that a message came in. */
interface Origin {
  readonly peer: string;
  readonly tooMany: boolean;
  /** Messages of one frame are stored in their order. */
  readonly frame: Buffer;
}

/** A refused message is stored too: somebody will ask what came. Throws what may pass with a later try. */
function lookAt(
  bytes: Buffer,
  header: MessageHeader | null,
  { peer, tooMany }: Origin,
  defaultCharset: string,
): InboundMessage {
  let seen: ScannedMessage | null = null;
  let outcome: AckOutcome = { kind: 'accept' };
  let code = 'accept';
  try {
    if (tooMany) {
      const what = `A batch holds at most ${BATCH_MESSAGES_MAX} messages: send several.`;
      throw new Failure('hl7.too-large', what);
    }
    seen = scanMessage(bytes, header, { defaultCharset });
    checkMessage(seen);
  } catch (error) {
    outcome = outcomeOfFailure(error);
    if (outcome.kind !== 'reject' || !(error instanceof Failure)) throw error;
    code = error.code;
  }
  return {
    key: keyOf(bytes, header, outcome.kind === 'accept' ? '' : code),
    bytes,
    peer,
    messageType: columnText(
      seen ? typeOf(seen) : [header?.component(9, 1) ?? '', header?.component(9, 2) ?? ''].join('^'),
    ),
    mrn: found(seen?.number('PID', 3)),
    accession: found(seen?.number('IPC', 1) || seen?.number('OBR', 18)),
    acks: answersTo(bytes, header, outcome),
    outcome: code,
  };
}

const found = (text: string | undefined): string | null => columnText(text ?? '') || null;

/** What messages of one group must not share: their bytes, their control id. */
function keysOf({ key }: InboundMessage): string[] {
  const hash = key.hash.toString('base64');
  return key.controlId === '' ? [hash] : [hash, `${key.application} ${key.facility} ${key.controlId}`];
}

const TRY_AGAIN = outcomeOfFailure(null);

function answersTo(bytes: Buffer, header: MessageHeader | null, outcome: AckOutcome): Buffer[] {
  const controlId = `A${randomUUID().replaceAll('-', '').slice(0, 17)}`;
  return acknowledgements(bytes, outcome, { now: new Date(), controlId, header });
}
