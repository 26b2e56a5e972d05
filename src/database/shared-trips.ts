import { setImmediate as turnOver } from 'node:timers/promises';
import type { Pool } from 'pg';
import { Failure } from '../kernel/errors.ts';
import { Places } from '../kernel/places.ts';
import { asked, isUnavailable } from './connection-failure.ts';
import { type Bound, roundTrip } from './round-trip.ts';
import { stopAfter } from './run-within.ts';

interface Waiting {
  readonly bound: Bound;
  readonly resolve: (rows: unknown[]) => void;
  readonly reject: (error: unknown) => void;
  /** It gets no answer from this trip: it goes alone. */
  readonly alone: () => void;
}

/** Trips under way beside each other: while PostgreSQL answers one, the answers of the other are printed. */
const TRIPS_MAX = 2;
/** Statements of one trip: the last one waits for the answers of the others. */
const TOGETHER_MAX = 16;
/** A trip that takes longer goes on by itself, and the next one begins. */
export const TRIP_PATIENCE_MS = 20;
/** So long the brief wait for one that is not; then it is stopped, and each goes alone. Its own limit counts from there. */
export const TRIP_MS_MAX = 250;
/** A statement that took so long is not brief for the values that are asked now, whatever its form: it goes alone for a while. */
const BRIEF_MS_MAX = 50;
const ALONE_FOR_MS = 10_000;
/** Names are few; what is not remembered is found out again. */
const SLOW_NAMES_MAX = 500;

/**
 * Brief statements that only read, on the pool: those that come in one turn of the event loop, or while others are under way, share a connection and a
 * round trip. A system call and two process switches cost more than the look-up of a row. Each has its own snapshot and its own answer, which is
 * given when it comes, not at the end. When one fails, those that have no answer yet go alone.
 */
export class SharedTrips {
  private waiting: Waiting[] = [];
  private readonly places = new Places(TRIPS_MAX, TRIP_PATIENCE_MS);
  /** A trip waits for its place, or for the end of the turn. */
  private planned = false;
  /** When a statement that was slow may share again, by name. */
  private readonly slowUntil = new Map<string, number>();

  constructor(
    private readonly pool: Pool,
    /** Sends one statement by itself. */
    private readonly alone: (bound: Bound, timeoutMs: number | undefined) => Promise<unknown[]>,
  ) {}

  run(bound: Bound, timeoutMs: number | undefined): Promise<unknown[]> {
    if (this.isSlow(bound)) return this.watched(bound, timeoutMs);
    return new Promise((resolve, reject) => {
      const alone = () => this.watched(bound, timeoutMs).then(resolve, reject);
      this.waiting.push({ bound, resolve, reject, alone });
      this.plan();
    });
  }

  private plan(): void {
    if (this.planned || this.waiting.length === 0) return;
    this.planned = true;
    void this.places.run(async () => {
      await turnOver();
      this.planned = false;
      const trip = this.waiting.splice(0, TOGETHER_MAX);
      this.plan();
      const [only] = trip;
      // Nobody waits for it: it has its own limit.
      if (only && trip.length === 1) await only.alone();
      else await this.together(trip);
    });
  }

  /** Never rejects. */
  private async together(trip: readonly Waiting[]): Promise<void> {
    let answered = 0;
    let begun = 0;
    const each = (rows: unknown[]): void => {
      const one = trip[answered++] as Waiting;
      const now = performance.now();
      this.note(one.bound, now - begun);
      begun = now;
      one.resolve(rows);
    };
    const bound = trip.map((one) => one.bound);
    try {
      await this.send(bound, each, () => {
        begun = performance.now();
      });
    } catch (error) {
      const left = trip.slice(answered);
      if (isUnavailable(error)) {
        for (const one of left) one.reject(error);
        return;
      }
      // The first failed, or was stopped; those behind it have not been looked at.
      if (left[0]) this.note(left[0].bound, performance.now() - begun);
      await Promise.all(left.map((one) => one.alone()));
    }
  }

  private async send(
    bound: readonly Bound[],
    each: (rows: unknown[]) => void,
    sent: () => void,
  ): Promise<void> {
    const client = await asked(this.pool.connect());
    sent();
    client.on('error', ignore);
    const watch = stopAfter(this.pool, client, TRIP_MS_MAX);
    let lost: Error | undefined;
    try {
      await asked(roundTrip(client, bound, each));
    } catch (error) {
      // An error of a statement leaves the connection whole.
      if (error instanceof Failure) lost = error;
      throw error;
    } finally {
      client.off('error', ignore);
      client.release(watch.end() ? true : lost);
    }
  }

  private async watched(bound: Bound, timeoutMs: number | undefined): Promise<unknown[]> {
    const begun = performance.now();
    try {
      return await this.alone(bound, timeoutMs);
    } finally {
      this.note(bound, performance.now() - begun);
    }
  }

  private note({ statement: { name = '' } }: Bound, ms: number): void {
    if (ms < BRIEF_MS_MAX) return;
    if (this.slowUntil.size >= SLOW_NAMES_MAX) this.slowUntil.clear();
    this.slowUntil.set(name, performance.now() + ALONE_FOR_MS);
  }

  private isSlow({ statement: { name = '' } }: Bound): boolean {
    const until = this.slowUntil.get(name);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.slowUntil.delete(name);
    return false;
  }
}

const ignore = () => undefined;
