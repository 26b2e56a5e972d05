import type { Step } from './fhir-workloads.ts';
import { percentile } from './percentile.ts';
import { type Cost, costOf } from './process-cost.ts';

export interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly errors: number;
  /** The first error, if any. */
  readonly error: string | null;
  /** CPU milliseconds per request of each watched family of processes. */
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly memoryMb: Readonly<Record<string, number>>;
}

export interface LoadOptions {
  readonly connections: number;
  readonly warmUpS: number;
  readonly seconds: number;
  /** Names and process ids. */
  readonly watched: Readonly<Record<string, number>>;
}

/** A closed loop: each connection sends its next request when the one before was answered. A wrong answer is an error, not a request. */
export async function load(step: Step, options: LoadOptions): Promise<Measured> {
  const times: number[] = [];
  const errors: string[] = [];
  let counting = false;
  let ended = false;
  let next = 0;
  const worker = async (at: number): Promise<void> => {
    while (!ended) {
      const before = performance.now();
      const error = await step(at, next++).then(
        () => null,
        (thrown: unknown) => String(thrown),
      );
      if (error) errors.push(error);
      else if (counting) times.push(performance.now() - before);
      if (errors.length > ERRORS_MAX) return;
    }
  };
  const workers = Array.from({ length: options.connections }, (_, at) => worker(at));
  await pause(options.warmUpS);
  const before = costOf(options.watched);
  const start = performance.now();
  counting = true;
  await pause(options.seconds);
  counting = false;
  const seconds = (performance.now() - start) / 1_000;
  const after = costOf(options.watched);
  ended = true;
  await Promise.all(workers);
  const of = <T>(read: (name: string) => T): Record<string, T> =>
    Object.fromEntries(Object.keys(options.watched).map((name) => [name, read(name)]));
  return {
    perSecond: times.length / seconds,
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    errors: errors.length,
    error: errors[0] ?? null,
    cpuMs: of((name) => ((after[name] as Cost).cpuMs - (before[name] as Cost).cpuMs) / times.length),
    memoryMb: of((name) => (after[name] as Cost).memoryMb),
  };
}

/** More are not worth waiting for. */
const ERRORS_MAX = 50;

const pause = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
