import { Failure } from '../../../kernel/errors.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { Engine, EngineModel, EngineRequest, EngineResult } from './engine.ts';
import { ANSWER_BINARY_BYTES_MAX, ANSWER_BYTES_MAX, callServer, type OipAnswer } from './oip-http.ts';
import { checkMetadata, type ServerFacts, serverFacts } from './oip-metadata.ts';
import { inferenceBody } from './oip-request.ts';
import { readInferenceAnswer } from './read-inference-answer.ts';

export interface OpenInferenceOptions {
  /** Hosts that may be called, as in a URL (`triton.hospital.example:8000`). A manifest cannot make this server call another. */
  readonly hosts: readonly string[];
  readonly breaker?: CircuitBreaker;
}

/** What a server said of itself is asked again after this: it may have been given another model under the same name. */
export const FACTS_FRESH_MS = 60_000;
/** A health question is answered at once or not at all. */
export const HEALTH_TIME_LIMIT_MS = 5_000;

/**
 * A client of the Open Inference Protocol v2 (KServe, Triton, MLServer, OpenVINO Model Server), over HTTP. Before the first run of a model its
 * metadata is compared with the manifest; then `POST /v2/models/{name}/versions/{version}/infer`, with binary tensors where the server
 * offers them, else flat row-major JSON. The answer must come from the model and version that were asked for.
 */
export class OpenInferenceProtocol implements Engine {
  readonly kind = 'open-inference-protocol';
  private readonly breaker: CircuitBreaker;
  private readonly facts = new Map<string, { readonly at: number; readonly facts: Promise<ServerFacts> }>();

  constructor(private readonly options: OpenInferenceOptions) {
    this.breaker = options.breaker ?? new CircuitBreaker();
  }

  async run(request: EngineRequest): Promise<EngineResult> {
    const base = this.base(request.model);
    return this.breaker.run(base.host, async () => {
      const deadline = performance.now() + request.timeLimitMs;
      const facts = await this.factsOf(request.model, deadline);
      checkMetadata(facts, request);
      const { headers, body } = inferenceBody(request, facts.binary);
      const start = performance.now();
      const url = modelUrl(base, request.model, 'infer');
      const bytesMax = facts.binary ? ANSWER_BINARY_BYTES_MAX : ANSWER_BYTES_MAX;
      const answer = await callServer({ url, headers, body, bytesMax, deadline });
      const asked = { model: remoteOf(request.model).model, version: versionOf(request.model) };
      const outputs = readInferenceAnswer(mustBeGood(answer), asked, request.outputs);
      return { outputs, ms: performance.now() - start };
    });
  }

  /** Is the server up and this version of the model loaded? null, or what is not (`GET v2/health/ready`, `…/ready`). */
  async health(model: EngineModel): Promise<string | null> {
    const base = this.base(model);
    const deadline = performance.now() + HEALTH_TIME_LIMIT_MS;
    try {
      const server = await this.get(pathUrl(base, 'v2', 'health', 'ready'), deadline);
      if (server.status !== 200) return `the server is not ready (${server.status})`;
      const loaded = await this.get(modelUrl(base, model, 'ready'), deadline);
      return loaded.status === 200 ? null : `the model is not ready there (${loaded.status})`;
    } catch (error) {
      if (error instanceof Failure) return error.message;
      throw error;
    }
  }

  async close(): Promise<void> {}

  private async factsOf(model: EngineModel, deadline: number): Promise<ServerFacts> {
    const base = this.base(model);
    const { href } = modelUrl(base, model);
    const kept = this.facts.get(href);
    if (kept && performance.now() - kept.at < FACTS_FRESH_MS) return kept.facts;
    const facts = this.askFacts(base, model, deadline);
    this.facts.set(href, { at: performance.now(), facts });
    // What failed is asked again by the next run.
    facts.catch(() => this.facts.delete(href));
    return facts;
  }

  private async askFacts(base: URL, model: EngineModel, deadline: number): Promise<ServerFacts> {
    const [server, metadata] = await Promise.all([
      this.get(pathUrl(base, 'v2'), deadline),
      this.get(modelUrl(base, model), deadline),
    ]);
    // Without metadata of the server there are no extensions; without those of the model nothing can be compared.
    return serverFacts(server.status === 200 ? jsonOf(server) : null, jsonOf(mustBeGood(metadata)));
  }

  private get(url: URL, deadline: number): Promise<OipAnswer> {
    return callServer({ url, bytesMax: ANSWER_BYTES_MAX, deadline });
  }

  private base(model: EngineModel): URL {
    const url = new URL(remoteOf(model).url);
    if (!this.options.hosts.includes(url.host) || !/^https?:$/.test(url.protocol)) {
      throw new Failure(
        'inference.engine-refused',
        'The inference server in the manifest is not among the configured hosts; add it to the settings or correct the manifest.',
      );
    }
    return url;
  }
}

function remoteOf({ engine }: EngineModel) {
  if (engine.kind === 'open-inference-protocol') return engine;
  throw new Failure(
    'inference.engine-refused',
    'This model does not name an inference server in its manifest.',
  );
}

const versionOf = (model: EngineModel): string => remoteOf(model).version ?? model.version;

const modelUrl = (base: URL, model: EngineModel, ...rest: readonly string[]): URL =>
  pathUrl(base, 'v2', 'models', remoteOf(model).model, 'versions', versionOf(model), ...rest);

function pathUrl(base: URL, ...parts: readonly string[]): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${parts.map(encodeURIComponent).join('/')}`;
  return url;
}

/** 4xx: the request is wrong and stays wrong; 5xx: later. The server's own words may repeat values, so they stay in `cause`. */
function mustBeGood(answer: OipAnswer): OipAnswer {
  const { status, bytes } = answer;
  if (status >= 500)
    throw new Failure('inference.engine-unavailable', `The inference server answered ${status}.`);
  if (status === 200) return answer;
  throw new Failure(
    'inference.engine-refused',
    `The inference server refused the request with ${status}; compare the manifest with its model.`,
    { cause: Buffer.from(bytes).toString('utf8', 0, ERROR_TEXT_MAX) },
  );
}

const ERROR_TEXT_MAX = 1000;

function jsonOf({ bytes }: OipAnswer): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new Failure('inference.output-invalid', 'The inference server did not answer with JSON.');
  }
}
