import { Failure } from '../../../kernel/errors.ts';
import {
  type Engine,
  type EngineModel,
  type EngineRequest,
  type EngineResult,
  type InputTensor,
  type OutputTensor,
  valuesIn,
} from './engine.ts';
import { readInferenceAnswer } from './read-inference-answer.ts';

export interface OpenInferenceOptions {
  /** Hosts that may be called, as in a URL (`triton.hospital.example:8000`). A manifest cannot make this server call another. */
  readonly hosts: readonly string[];
}

/**
 * A client of the Open Inference Protocol v2 (KServe, Triton, OpenVINO Model Server): `POST /v2/models/{name}/versions/{version}/infer`
 * with tensors as flat row-major JSON arrays. The answer must come from the model and version that were asked for.
 */
export class OpenInferenceProtocol implements Engine {
  readonly kind = 'open-inference-protocol';

  constructor(private readonly options: OpenInferenceOptions) {}

  async run(request: EngineRequest): Promise<EngineResult> {
    const url = this.address(request.model);
    const body = JSON.stringify({
      inputs: Object.entries(request.inputs).map(([name, tensor]) => inputOf(name, tensor)),
      outputs: request.outputs.map((name) => ({ name })),
    });
    const start = performance.now();
    const answer = await post(url, body, request.timeLimitMs);
    return { outputs: outputsOf(answer, request), ms: performance.now() - start };
  }

  async close(): Promise<void> {}

  private address(model: EngineModel): URL {
    const { engine } = model;
    if (engine.kind !== 'open-inference-protocol') {
      throw new Failure(
        'inference.engine-refused',
        'This model does not name an inference server in its manifest.',
      );
    }
    const url = new URL(engine.url);
    if (!this.options.hosts.includes(url.host) || !/^https?:$/.test(url.protocol)) {
      throw new Failure(
        'inference.engine-refused',
        'The inference server in the manifest is not among the configured hosts; add it to the settings or correct the manifest.',
      );
    }
    const parts = ['v2', 'models', engine.model, 'versions', versionOf(model), 'infer'].map(
      encodeURIComponent,
    );
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${parts.join('/')}`;
    return url;
  }
}

/** Values in one request: JSON of more would take the main thread longer than a request may wait. A volume needs ONNX in process. */
export const REQUEST_VALUES_MAX = 1024 * 1024;
/** Scores and measurements fit many times; a server that sends more is not the one that was meant. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

const versionOf = (model: EngineModel): string =>
  (model.engine.kind === 'open-inference-protocol' ? model.engine.version : undefined) ?? model.version;

const DATATYPES = { float32: 'FP32', int16: 'INT16', uint8: 'UINT8' } as const;

function inputOf(name: string, tensor: InputTensor) {
  if (tensor.dtype === 'float16') {
    throw new Failure(
      'inference.input-shape',
      `The input "${name}" is float16, which has no JSON form in the protocol; use float32.`,
    );
  }
  const values = valuesIn(tensor.dims);
  if (values > REQUEST_VALUES_MAX) {
    throw new Failure(
      'inference.series-too-large',
      `The input "${name}" has ${values} values; a server is sent at most ${REQUEST_VALUES_MAX} as JSON.`,
    );
  }
  return { name, shape: tensor.dims, datatype: DATATYPES[tensor.dtype], data: Array.from(valuesOf(tensor)) };
}

function valuesOf({ dtype, dims, bytes }: InputTensor): Float32Array | Int16Array | Uint8Array {
  const values = valuesIn(dims);
  if (dtype === 'int16') return new Int16Array(bytes, 0, values);
  return dtype === 'uint8' ? new Uint8Array(bytes, 0, values) : new Float32Array(bytes, 0, values);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function post(url: URL, body: string, timeLimitMs: number): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body,
      // A redirect would carry the pixels to a host that nobody configured.
      redirect: 'error',
      signal: AbortSignal.timeout(timeLimitMs),
    });
    return { status: response.status, text: await readBounded(response) };
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      throw new Failure('inference.timeout', `The inference server did not answer within ${timeLimitMs} ms.`);
    }
    throw new Failure('inference.engine-unavailable', 'The inference server cannot be reached.', {
      cause: error,
    });
  }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > ANSWER_BYTES_MAX) {
      throw new Failure(
        'inference.output-invalid',
        `The inference server sent more than ${ANSWER_BYTES_MAX} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** 4xx: the request is wrong and stays wrong; 408, 429 and 5xx: later. The server's own words may repeat values, so they stay in `cause`. */
function outputsOf({ status, text }: Answer, request: EngineRequest): Record<string, OutputTensor> {
  if (status >= 500 || status === 408 || status === 429) {
    throw new Failure('inference.engine-unavailable', `The inference server answered ${status}.`);
  }
  if (status !== 200) {
    throw new Failure(
      'inference.engine-refused',
      `The inference server refused the request with ${status}; compare the manifest with its model.`,
      {
        cause: text.slice(0, ERROR_TEXT_MAX),
      },
    );
  }
  const { engine } = request.model;
  const asked = {
    model: engine.kind === 'open-inference-protocol' ? engine.model : '',
    version: versionOf(request.model),
  };
  return readInferenceAnswer(text, asked, request.outputs);
}

const ERROR_TEXT_MAX = 1000;
