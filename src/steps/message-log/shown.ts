/**
 * What the doors of the message log answer, as JSON. It imports nothing, because the page reads it too.
 */

/** One field that is not empty. */
export interface TreeField {
  readonly n: number;
  /** '' for fields that have no name here. */
  readonly name: string;
  /** Repetitions, each its components; subcomponents stand joined by `&`. */
  readonly values: readonly (readonly string[])[];
  readonly masked: boolean;
}

export interface TreeSegment {
  readonly name: string;
  readonly title: string;
  readonly fields: readonly TreeField[];
}

/** A message, or a part of it, as a person reads it. */
export interface MessageTree {
  /** Number of its first segment in the message. */
  readonly first: number;
  readonly segments: readonly TreeSegment[];
  /** Names the part that follows: `from` of `GET /hl7/messages/{direction}/{id}/tree`. Null for the last one. */
  readonly next: string | null;
  /** There is more in these segments than is shown: fields, repetitions or long values. */
  readonly more: boolean;
  /** The message could not be taken apart: only its header is shown. */
  readonly unreadable: boolean;
  /** Lines as they stand on the wire, with the same parts masked and long values cut. */
  readonly raw: readonly string[];
}

/** A message as lists show it. Patient data is masked unless `unmask`. */
export interface ShownMessage {
  readonly direction: 'in' | 'out';
  readonly id: string;
  readonly at: string;
  /** MSH-9.1^MSH-9.2 */
  readonly type: string;
  readonly controlId: string;
  readonly partner: string;
  readonly peer: string;
  readonly status: string;
  readonly reason: string | null;
  readonly errorClass: string | null;
  readonly mrn: string | null;
  readonly accession: string | null;
  readonly bytes: number;
  readonly flags: readonly string[];
  readonly repeats: number;
  readonly endedAt: string | null;
  readonly lane: string | null;
  readonly destination: string | null;
  readonly attempts: number;
}

export interface ShownReport {
  readonly id: string;
  readonly version: number;
  readonly revision: number;
  /** OBR-25 */
  readonly resultStatus: string;
  readonly profile: string;
  readonly supersededBy: string | null;
}

export interface ShownAttempt {
  readonly attempt: number;
  readonly startedAt: string;
  readonly ms: number;
  readonly outcome: string;
  readonly error: string | null;
  readonly ack: readonly string[];
}

export interface ShownVersion {
  readonly id: string;
  readonly at: string;
  readonly status: string;
  readonly controlId: string;
  readonly version: number;
  readonly revision: number;
}

export interface ShownAction {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly direction: string | null;
  readonly messageId: string | null;
  readonly destination: string | null;
  readonly lane: string | null;
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export type AlertKind =
  | 'unsent'
  | 'unconfigured'
  | 'unfiled'
  | 'held'
  | 'silent'
  | 'errors'
  | 'certificate'
  | 'dead';

/** What is wrong now. Names are of destinations, senders and certificates: no patient data. */
export interface Alert {
  readonly kind: AlertKind;
  /** Of what: a destination, a sender, a certificate, `in` or `out`. */
  readonly about: string;
  readonly text: string;
}

/** A hold as it is shown. */
export interface ShownHold {
  readonly at: string;
  readonly by: string;
  readonly reason: string;
}

/** One message with everything that is known of it. */
export interface ShownWhole extends ShownMessage {
  readonly masked: boolean;
  /** Its first part; null where it was not asked for, or its bytes were dropped. */
  readonly tree: MessageTree | null;
  /** When its bytes were dropped by retention; null while they are kept. */
  readonly droppedAt: string | null;
  /** The acknowledgement sent (in) or the last one received (out). */
  readonly ack: MessageTree | null;
  readonly outcome: {
    readonly answered: string | null;
    readonly filing: string | null /** `PID^1^3` */;
    readonly location: string | null;
  };
  readonly report: ShownReport | null;
  readonly tries: readonly ShownAttempt[];
  readonly versions: readonly ShownVersion[];
  readonly actions: readonly ShownAction[];
}

/** The lanes as the operator sees them. */
export interface LanesView {
  readonly destinations: readonly {
    readonly destination: string;
    /** Null for one that is not configured (any more). */
    readonly address: string | null;
    readonly profile: string | null;
    readonly waiting: number;
    readonly lanes: number;
    readonly oldestUnsentSeconds: number;
    readonly lastAckAt: string | null;
    readonly held: ShownHold | null;
  }[];
  readonly lanes: readonly {
    readonly lane: string;
    readonly destination: string;
    readonly waiting: number;
    readonly oldestUnsentSeconds: number;
    /** What is next or on its way; all that follows waits for it. */
    readonly head: {
      readonly id: string;
      readonly controlId: string;
      readonly attempts: number;
      readonly lastError: string | null;
      readonly sentAt: string | null;
    };
    readonly held: ShownHold | null;
  }[];
  /** Held lanes in which nothing waits now. */
  readonly heldEmpty: readonly {
    readonly lane: string;
    readonly destination: string;
    readonly held: ShownHold;
  }[];
  readonly filing: {
    readonly waiting: number;
    readonly oldestSeconds: number;
    readonly held: number;
    readonly headId: string | null;
  };
}

/** What nobody has dealt with yet, of one reason. */
export interface ShownDeadGroup {
  readonly direction: 'in' | 'out';
  readonly partner: string;
  readonly status: string;
  readonly reason: string;
  readonly messages: number;
  readonly oldest: string;
  readonly newest: string;
}
