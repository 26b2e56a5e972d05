import type { ModelInput, RunningEngine } from '../../../governance/manifest.ts';

/** Runs models. One engine per kind; the manifest says which (`running.engine`). */
export interface Engine {
  readonly kind: RunningEngine['kind'];
  /**
   * One run. Throws `inference.input-shape`, `inference.output-invalid`, `inference.model-unloadable`, `inference.run-failed`,
   * `inference.timeout` (the result is thrown away when it comes), `inference.engine-*`.
   */
  run(request: EngineRequest): Promise<EngineResult>;
  /** Lets runs end (for a bounded time) and gives memory back. */
  close(): Promise<void>;
}

export interface EngineModel {
  /** `<id>@<version>` */
  readonly key: string;
  readonly version: string;
  /** Path of the ONNX file; its checksum was compared when the register loaded it. */
  readonly file: string;
  readonly engine: RunningEngine;
  readonly concurrencyMax: number;
}

export interface EngineRequest {
  readonly model: EngineModel;
  readonly inputs: Readonly<Record<string, InputTensor>>;
  /** Names of the outputs wanted; others are not computed into memory. */
  readonly outputs: readonly string[];
  readonly timeLimitMs: number;
}

export interface InputTensor {
  readonly dtype: ModelInput['dtype'];
  readonly dims: readonly number[];
  /**
   * Little-endian values, row-major, from the start; the memory may be longer than the tensor. Large tensors lie in shared memory, so
   * that a thread reads them without a copy.
   */
  readonly bytes: ArrayBuffer | SharedArrayBuffer;
}

export interface EngineResult {
  readonly outputs: Readonly<Record<string, OutputTensor>>;
  /** Time of the run itself, without waiting and loading. */
  readonly ms: number;
}

/** float16 arrives as Float32Array, int64 as Float64Array, bool as Uint8Array. */
export interface OutputTensor {
  readonly dims: readonly number[];
  readonly data: OutputArray;
}

export type OutputArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** How many values a tensor of these dimensions has. */
export const valuesIn = (dims: readonly number[]): number =>
  dims.reduce((product, size) => product * size, 1);
