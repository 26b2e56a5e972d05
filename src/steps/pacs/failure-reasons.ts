/** What a Failure Reason (0008,1197) says, and whether the same object may be taken later. */
export interface FailureReasonName {
  /** `0122 SOP class not supported` */
  readonly text: string;
  readonly passes: boolean;
}

/**
 * PS3.18 Table I.2-2 with the statuses of PS3.4 Table B.2-1, and those of Azure. 45070 "already there" never comes here: it is
 * success. `null`: the PACS did not account for the object at all.
 */
export function nameOfReason(reason: number | null): FailureReasonName {
  if (reason === null) return { text: 'no answer about it', passes: true };
  const [, words, passes] = REASONS.find(([range]) => reason >= range[0] && reason <= range[1]) ?? [
    null,
    'a reason of its own',
    false,
  ];
  return { text: `${reason.toString(16).toUpperCase().padStart(4, '0')} ${words}`, passes };
}

const REASONS: readonly (readonly [readonly [number, number], string, boolean])[] = [
  [[0x0110, 0x0110], 'processing failure', true],
  [[0x0111, 0x0111], 'another object with this UID is there', false],
  [[0x0112, 0x0112], 'no such object instance', false],
  [[0x0122, 0x0122], 'SOP class not supported', false],
  [[0x0124, 0x0124], 'not authorized', false],
  [[0x0131, 0x0131], 'study transaction UID not found', false],
  [[0x0132, 0x0132], 'resource mismatch', false],
  [[0xa700, 0xa7ff], 'out of resources', true],
  [[0xa900, 0xa9ff], 'data set does not match its SOP class', false],
  // 45071: "being created by another request".
  [[0xb00f, 0xb00f], 'being stored by another request', true],
  [[0xc000, 0xc121], 'cannot be understood', false],
  [[0xc122, 0xc122], 'transfer syntax not supported', false],
  [[0xc123, 0xcfff], 'cannot be understood', false],
];
