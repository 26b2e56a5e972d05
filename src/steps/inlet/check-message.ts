import type { ScannedMessage } from '../../hl7/scan-message.ts';
import {
  kindOfMessage,
  type MessageKind,
  messageTypeOf,
  SUPPORTED_MESSAGES,
  SUPPORTED_TYPES_TEXT,
} from '../../hl7/supported-messages.ts';
import { Failure } from '../../kernel/errors.ts';

/**
 * What must be there before a message is accepted, by type: without it nothing could ever be filed, so the sender hears AR at once. All else is
 * judged when the message is filed.
 */
const PATIENT: readonly Needed[] = [
  { segment: 'PID', field: 3, what: 'PID-3 is empty: send the number of the patient.' },
];
const ORDER: readonly Needed[] = [
  ...PATIENT,
  { segment: 'ORC', field: 0, what: 'The message holds no order: send at least one ORC segment.' },
];
const MERGE: readonly Needed[] = [
  ...PATIENT,
  { segment: 'MRG', field: 1, what: 'MRG-1 is empty: send the number that is merged away.' },
];
const RESULT: readonly Needed[] = [
  ...PATIENT,
  { segment: 'OBR', field: 0, what: 'The message holds no report: send at least one OBR segment.' },
];

const NEEDED: Readonly<Record<MessageKind, readonly Needed[]>> = {
  order: ORDER,
  visit: PATIENT,
  merge: MERGE,
  result: RESULT,
};

interface Needed {
  readonly segment: string;
  /** 0: the segment alone. */
  readonly field: number;
  readonly what: string;
}

/** As filing will read it. */
export const typeOf = (message: ScannedMessage): string =>
  messageTypeOf((segment, field, component) => message.get(segment, field, component));

/**
 * Throws what makes a message useless for ever: `hl7.missing` (ERR-3 101), `hl7.unsupported-type` (200), `hl7.unsupported-event` (201) or
 * `hl7.unsupported-version` (203).
 */
export function checkMessage(message: ScannedMessage): void {
  const messageType = typeOf(message);
  const [type = ''] = messageType.split('^');
  if (type === '') throw missing('MSH^1^9', 'MSH-9 is empty: send the message type.');
  if (['', '""'].includes(message.get('MSH', 10).trim()))
    throw missing('MSH^1^10', 'MSH-10 is empty: send a unique message control id.');
  const kind = kindOfMessage(messageType);
  if (!kind) {
    const known = Object.keys(SUPPORTED_MESSAGES).some((one) => one.startsWith(`${type}^`));
    const [code, what] = known
      ? (['hl7.unsupported-event', 'This event is not taken'] as const)
      : (['hl7.unsupported-type', 'This message type is not taken'] as const);
    throw new Failure(code, `${what}: send ${SUPPORTED_TYPES_TEXT}.`, {
      issues: [{ at: 'MSH^1^9', text: 'is not supported' }],
    });
  }
  if (!/^(2(\.\d){0,2})?$/.test(message.get('MSH', 12).trim())) {
    throw new Failure('hl7.unsupported-version', 'MSH-12 is no version 2 of HL7: send 2.3.1 or 2.5.1.', {
      issues: [{ at: 'MSH^1^12', text: 'is unknown' }],
    });
  }
  for (const { segment, field, what } of NEEDED[kind]) {
    if (!message.has(segment))
      throw missing(segment, field === 0 ? what : `The message has no ${segment} segment: send one.`);
    if (field > 0 && message.number(segment, field) === '') throw missing(`${segment}^1^${field}`, what);
  }
}

function missing(at: string, what: string): Failure {
  return new Failure('hl7.missing', what, { issues: [{ at, text: 'is missing' }] });
}
