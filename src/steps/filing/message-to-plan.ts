import { type Hl7Message, readMessage } from '../../hl7/codec.ts';
import { charsetOfSender, type SenderCharsets } from '../../hl7/sender-charsets.ts';
import { senderName } from '../../hl7/sender-name.ts';
import { kindOfMessage, messageTypeOf, SUPPORTED_TYPES_TEXT } from '../../hl7/supported-messages.ts';
import { Failure } from '../../kernel/errors.ts';
import type { AccessionPlaces } from './accession-places.ts';
import { plain, type SenderContext } from './datatype-to-fhir.ts';
import type { FilingPlan, SentPlan } from './filing-plan.ts';
import { mergePlan } from './merge-plan.ts';
import { messageTimes } from './message-times.ts';
import { orderPlan } from './order-plan.ts';
import { resultPlan } from './result-plan.ts';
import { visitPlan } from './visit-plan.ts';

/** What mapping a message needs of the site. */
export interface FilingSite {
  /** Zone of times that name none; null keeps their date alone. */
  readonly timeZone: string | null;
  readonly charsets: SenderCharsets;
  readonly accessionPlaces: AccessionPlaces;
  /** MSH-3 and MSH-4 of our own messages: a result under these names is our own, come back. */
  readonly own: { readonly application: string; readonly facility: string };
}

/**
 * Bytes of one message → what to file. Pure: nothing is looked up. Throws a `Failure` `hl7.*` that will not pass with a later try, and names
 * the place in the message.
 */
export function messageToPlan(bytes: Buffer, site: FilingSite): SentPlan {
  const message = readMessage(bytes, { defaultCharset: charsetOfSender(site.charsets, bytes) });
  const messageType = messageTypeOf((segment, field, component) => message.get(segment, 1, field, component));
  const facility = message.get('MSH', 1, 4) || message.get('MSH', 1, 3);
  const context: SenderContext = { facility, timeZone: site.timeZone };
  const kind = kindOfMessage(messageType);
  const plan = (): FilingPlan => {
    switch (kind) {
      case 'order':
        return orderPlan(messageType, message, context, site.accessionPlaces);
      case 'visit':
        return visitPlan(messageType, message, context);
      case 'merge':
        return mergePlan(messageType, message, context);
      case 'result':
        return resultPlan(messageType, message, context, site.accessionPlaces, isOwn(message, site));
      default:
        // The door takes only what stands in the table; a table that was shortened since leaves such a message.
        throw new Failure(
          'hl7.unsupported-type',
          `This message is not taken: send ${SUPPORTED_TYPES_TEXT}.`,
          {
            issues: [{ at: 'MSH^1^9', text: 'is not supported' }],
          },
        );
    }
  };
  const sender = senderName(plain(message.get('MSH', 1, 3)), plain(message.get('MSH', 1, 4)));
  const made = { ...plan(), sender, times: messageTimes(message, context) };
  const isTest = ['T', 'D'].includes(plain(message.get('MSH', 1, 11)));
  return isTest ? { ...made, flags: [...made.flags, 'not-production'] } : made;
}

/** Both names: one of them alone may be that of the hospital's other systems too. */
const isOwn = (message: Hl7Message, { own }: FilingSite) =>
  plain(message.get('MSH', 1, 3)) === own.application && plain(message.get('MSH', 1, 4)) === own.facility;
