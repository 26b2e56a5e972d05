import { type DestinationStream, type Logger, pino } from 'pino';

/** Injection token of the process's logger. */
export const LOGGER = Symbol('Logger');

/**
 * Structured lines on standard output. What is logged are codes, ids, counts and times; never a request's body or query, never
 * a resource, never an error's own message unless it is a `Failure`: all of these may hold patient data.
 */
export function makeLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination ? pino(options, destination) : pino(options);
}
