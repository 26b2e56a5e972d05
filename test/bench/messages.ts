/** What the processes of the benchmark tell each other. */
export type FromServer =
  | {
      readonly kind: 'ready';
      readonly url: string;
      readonly token: string;
      readonly readyMs: number;
      readonly database: object;
    }
  | {
      readonly kind: 'step';
      readonly step: string;
      readonly end: string;
      readonly why: string | null;
      readonly ms: number;
      /** Epoch milliseconds with fractions. */
      readonly at: number;
      readonly handoff: object;
      readonly next: object | null;
    }
  | {
      readonly kind: 'heap';
      /** Bytes that are still in use after everything unused was given back. */
      readonly used: number;
    };

export interface FloorSetup {
  readonly database: object;
  readonly risPort: number;
  readonly token: string;
  readonly models: readonly FloorModel[];
}

export interface FloorModel {
  readonly name: string;
  readonly file: string;
  readonly pixels: readonly unknown[];
  readonly inputs: readonly { name: string; gives: string; layout?: string; dtype: string }[];
}

/** One study's worth of work: where the pixels are, what rows to write, what message to send. */
export interface FloorJob {
  readonly model: string;
  readonly seriesUrl: string;
  readonly spacing: readonly number[];
  readonly tables: Readonly<Record<string, readonly object[]>>;
  readonly oru: string;
}

/** A CPU profile of the server: begin, or end and write it. Or: collect garbage, and say what stays. */
export type ToServer =
  | { readonly profile: 'start' | { readonly file: string } }
  | { readonly heap: 'collected' };
