/** The current time and fresh ids are handed in, so that tests can hold both still. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };
