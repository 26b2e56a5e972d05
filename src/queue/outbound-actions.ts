import { Injectable } from '@nestjs/common';
import type { Sql, Transaction } from '../database/database.ts';

/** One receiver of result messages, as an operator sees it. */
export interface OutboundDestination {
  readonly name: string;
  /** `mllp://host:port` or `mllps://host:port`. */
  readonly address: string;
  readonly profile: string;
  /** The queue of its messages. */
  readonly queue: string;
  /** When our client certificate for it ends; null without one. */
  readonly certificateEndsAt: Date | null;
}

/** Why nothing goes to a destination, or in one of its lanes. */
export interface OutboundHold {
  readonly destination: string;
  /** Null: the whole destination. */
  readonly lane: string | null;
  readonly at: Date;
  /** A person, or `prelim` where a profile holds the lane by itself. */
  readonly by: string;
  readonly reason: string;
}

/** The hold that stands now: it may have stood before. */
export interface StandingHold extends OutboundHold {
  readonly already: boolean;
}

/** What an operator does to messages on their way out. Each is one transaction of the caller's, with whatever it notes down beside it. */
export interface OutboundActions {
  /**
   * The same bytes with the same MSH-10 again, as the next of its lane. Throws `ris.unknown-message`; `ris.in-flight` when it waits already;
   * `ris.newer-sent` when a newer version of the report was sent, or waits to be, `ris.final-seen` when it is a preliminary result after somebody's final
   * report, and `overNewer` does not say that this is known; `ris.not-sendable`
   * when no message could be made of the record; `ris.bytes-dropped` when retention has dropped its bytes.
   */
  resend(tx: Transaction, messageId: string, options?: { readonly overNewer?: boolean }): Promise<void>;
  /** Throws `ris.newer-sent` or `ris.final-seen` when the bytes of a message must not be sent again without somebody saying that he knows; `ris.unknown-message`. */
  mayFollow(tx: Transaction, messageId: string): Promise<void>;
  /** A new message, with a new MSH-10, of what the record says now. It is made by a job. Throws `ris.unknown-message`, `ris.unknown-destination`. */
  rebuild(tx: Transaction, messageId: string): Promise<void>;
  /**
   * What the record says now of the same report, as a message to another destination in its own profile; made by a job, in the lane of the patient. A destination
   * that has this version of the report, or whose filter leaves it out, gets none. Throws `ris.unknown-message`, `ris.unknown-destination`,
   * `ris.same-destination`.
   */
  sendTo(tx: Transaction, messageId: string, destination: string): Promise<void>;
  /** It will not be sent any more. Throws `ris.unknown-message`; `ris.in-flight` when it was acknowledged or is being sent. */
  discard(tx: Transaction, messageId: string, why: string): Promise<void>;
  /** Nothing goes to the destination until it is released; no tries are used up. One that is held already stays so, by whom and why it was. */
  holdDestination(tx: Transaction, destination: string, by: string, reason: string): Promise<StandingHold>;
  /** The hold that is gone; null when it was not held. */
  releaseDestination(tx: Transaction, destination: string): Promise<OutboundHold | null>;
  /** `destination` is said by who holds it: what waited in the lane may have gone by now. */
  holdLane(
    tx: Transaction,
    target: { readonly lane: string; readonly destination: string },
    by: string,
    reason: string,
  ): Promise<StandingHold>;
  releaseLane(tx: Transaction, lane: string): Promise<OutboundHold | null>;
  destinations(): readonly OutboundDestination[];
  /** Is this destination held now? */
  isHeld(sql: Sql, destination: string): Promise<boolean>;
}

/** Where the step that sends offers its actions to whoever shows messages to operators: neither may know the other. */
@Injectable()
export class OutboundActionsHost {
  private registered: OutboundActions | null = null;

  use(actions: OutboundActions): void {
    this.registered = actions;
  }

  /** Throws when no step that sends is loaded: a mistake in the wiring. */
  get actions(): OutboundActions {
    if (this.registered === null) throw new Error('No step that sends messages has registered its actions.');
    return this.registered;
  }
}
