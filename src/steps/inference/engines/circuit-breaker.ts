import { Failure } from '../../../kernel/errors.ts';

/** Failures in a row after which a server is left alone: one more study waiting on a dead server helps nobody. */
export const CIRCUIT_FAILURES_MAX = 5;
/** For so long; then one call is let through to see whether it is back. */
export const CIRCUIT_OPEN_MS = 30_000;

interface Circuit {
  failures: number;
  /** `performance.now()` from which one call may try again; 0 while closed. */
  openUntil: number;
  /** The one call of a half-open circuit is on its way. */
  trying: boolean;
}

/** Per server: closed, open after failures in a row, half open for one call after a while. */
export class CircuitBreaker {
  private readonly circuits = new Map<string, Circuit>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /**
   * Runs a call when the circuit allows it. Only failures that say something about the server count: unavailable, or no answer in time.
   * Throws `inference.engine-unavailable` without a call while it is open.
   */
  async run<T>(server: string, call: () => Promise<T>): Promise<T> {
    const circuit = this.circuits.get(server) ?? { failures: 0, openUntil: 0, trying: false };
    this.circuits.set(server, circuit);
    if (circuit.openUntil > 0 && (circuit.trying || this.now() < circuit.openUntil)) {
      throw new Failure(
        'inference.engine-unavailable',
        `The inference server failed ${CIRCUIT_FAILURES_MAX} times in a row and is not called for ${CIRCUIT_OPEN_MS / 1000} s.`,
      );
    }
    circuit.trying = circuit.openUntil > 0;
    try {
      const result = await call();
      close(circuit);
      return result;
    } catch (error) {
      if (!isServerFault(error)) close(circuit);
      else if (++circuit.failures >= CIRCUIT_FAILURES_MAX) circuit.openUntil = this.now() + CIRCUIT_OPEN_MS;
      throw error;
    } finally {
      circuit.trying = false;
    }
  }
}

/** It answered: a refusal is an answer too. */
function close(circuit: Circuit): void {
  circuit.failures = 0;
  circuit.openUntil = 0;
}

const isServerFault = (error: unknown): boolean =>
  error instanceof Failure &&
  (error.code === 'inference.engine-unavailable' || error.code === 'inference.timeout');
