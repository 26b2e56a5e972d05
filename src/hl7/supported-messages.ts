/** What a message is about, as far as filing it goes. */
export type MessageKind = 'order' | 'visit' | 'merge' | 'result';

/**
 * Every message that is taken, as `MSH-9.1^MSH-9.2`, and what it is about. The door answers others with AR (ERR-3 200 or 201); filing reads by the
 * same table, so that nothing is accepted that it does not know.
 */
export const SUPPORTED_MESSAGES: Readonly<Record<string, MessageKind>> = {
  'ORM^O01': 'order',
  'OMI^O23': 'order',
  'OMG^O19': 'order',
  'ORU^R01': 'result',
  'ADT^A01': 'visit',
  'ADT^A02': 'visit',
  'ADT^A03': 'visit',
  'ADT^A04': 'visit',
  'ADT^A05': 'visit',
  'ADT^A06': 'visit',
  'ADT^A07': 'visit',
  'ADT^A08': 'visit',
  'ADT^A11': 'visit',
  'ADT^A13': 'visit',
  'ADT^A28': 'visit',
  'ADT^A31': 'visit',
  'ADT^A38': 'visit',
  'ADT^A40': 'merge',
};

/** The same as words for a refusal. */
export const SUPPORTED_TYPES_TEXT =
  'ORM^O01, OMI^O23, OMG^O19, ORU^R01 or ADT (A01 to A08, A11, A13, A28, A31, A38, A40)';

/**
 * MSH-9 as `type^event`. Version 2.1, and some who send 2.2, name no event there: then it is the only one of the type, for ADT that of EVN-1.
 * `get` gives the first repetition of a component of the first segment of that name.
 */
export function messageTypeOf(get: (segment: string, field: number, component: number) => string): string {
  const type = get('MSH', 9, 1).trim();
  const event =
    get('MSH', 9, 2).trim() || (type === 'ADT' ? get('EVN', 1, 1).trim() : (ONLY_EVENT[type] ?? ''));
  return `${type}^${event}`;
}

const ONLY_EVENT: Readonly<Record<string, string>> = { ORM: 'O01', OMI: 'O23', OMG: 'O19', ORU: 'R01' };

/** Null for a message that is not taken. */
export const kindOfMessage = (messageType: string): MessageKind | null =>
  Object.hasOwn(SUPPORTED_MESSAGES, messageType) ? (SUPPORTED_MESSAGES[messageType] ?? null) : null;
