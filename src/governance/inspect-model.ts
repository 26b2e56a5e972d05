import type { Manifest } from './manifest.ts';

/** An input or output as the graph itself declares it. */
export interface GraphTensor {
  readonly name: string;
  /** `float32`, `float16`, `int64`, `string` …; null when it is no tensor. */
  readonly dtype: string | null;
  /** null: a dimension that is only known when the model runs (most often the batch). */
  readonly dims: readonly (number | null)[];
}

export interface ModelGraph {
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
}

export interface ModelFile {
  /** `<id>@<version>` */
  readonly ref: string;
  /** Absolute path of the ONNX file. */
  readonly path: string;
  readonly manifest: Manifest;
}

/**
 * Opens a model and says what its graph takes and gives; throws the runtime's own error when it does not load. The inference
 * engine hands in its own, which keeps the session, so that a file is loaded once at start.
 */
export type InspectModel = (model: ModelFile) => Promise<ModelGraph>;

/** Injection token of the process's `InspectModel`; without one, models are opened only to be looked at. */
export const INSPECT_MODEL = Symbol('InspectModel');

/** Opens a session only to look at it. For the command line and for tests. */
export const inspectAndRelease: InspectModel = async ({ path }) => {
  const { InferenceSession } = await import('onnxruntime-node');
  const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
  try {
    return sessionToGraph(session);
  } finally {
    await session.release();
  }
};

/** What onnxruntime-node says of a session, as `ModelGraph`. */
export function sessionToGraph(session: SessionMetadata): ModelGraph {
  return { inputs: session.inputMetadata.map(toTensor), outputs: session.outputMetadata.map(toTensor) };
}

interface SessionMetadata {
  readonly inputMetadata: readonly ValueMetadata[];
  readonly outputMetadata: readonly ValueMetadata[];
}

interface ValueMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** A dimension that is not fixed comes as a name, an empty name or -1. */
function toTensor(value: ValueMetadata): GraphTensor {
  return {
    name: value.name,
    dtype: value.isTensor ? (value.type ?? null) : null,
    dims: (value.shape ?? []).map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : null)),
  };
}
