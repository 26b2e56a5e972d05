import { setTimeout as sleep } from 'node:timers/promises';

/** What the door of this process takes is counted over this time. */
export const WINDOW_MS = 200;
/** From here on a sender that waits for its answers would notice work beside the door: some five times the peak of a large hospital. */
export const BUSY_PER_S = 250;
/** While the door is busy, work beside it rests for so many times as long as it worked: it keeps a fifth of the time, and never starves. */
export const REST_FACTOR = 4;
export const REST_MS_MAX = 500;

/**
 * How busy the MLLP door of this process is. Whoever works through what the door has stored asks it between two pieces of work: messages are
 * answered first and filed after, and a burst is filed when it is over. In another process than the door's it is never busy.
 */
export class DoorLoad {
  private windowEnds = 0;
  private counting = 0;
  private counted = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** The door has stored so many messages. */
  took(messages: number): void {
    this.turn();
    this.counting += messages;
  }

  /** Somebody sends: work beside the door is done in small pieces. */
  get isActive(): boolean {
    return this.recent() > 0;
  }

  get isBusy(): boolean {
    return this.recent() * (1_000 / WINDOW_MS) >= BUSY_PER_S;
  }

  /** How long to rest after work of so many milliseconds. */
  restMs(workedMs: number): number {
    return this.isBusy ? Math.min(REST_MS_MAX, workedMs * REST_FACTOR) : 0;
  }

  /** Rests after a piece of work that began at `began` (of `performance.now()`), where the door is busy. */
  async giveWay(began: number): Promise<void> {
    const ms = this.restMs(this.now() - began);
    if (ms > 0) await sleep(ms);
  }

  private recent(): number {
    this.turn();
    return Math.max(this.counted, this.counting);
  }

  private turn(): void {
    const now = this.now();
    if (now < this.windowEnds) return;
    this.counted = now < this.windowEnds + WINDOW_MS ? this.counting : 0;
    this.counting = 0;
    this.windowEnds = now + WINDOW_MS;
  }
}

/** Of this process. */
export const DOOR_LOAD = new DoorLoad();
