import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a scripted server answers: a status and a body, sent after `delayMs`; `headers` for odd servers. */
export interface ScriptedAnswer {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly delayMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The JSON, without the binary tensors behind it. */
  readonly body: unknown;
  readonly binary: Buffer;
}

/** A model that the server says it has: `GET v2/models/{name}/versions/{version}` of the specification. */
export interface ServedModel {
  readonly name: string;
  readonly versions: readonly string[];
  readonly inputs: readonly ServedTensor[];
  readonly outputs: readonly ServedTensor[];
}

export interface ServedTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/**
 * An inference server after the Open Inference Protocol v2 (server and model metadata, live, ready, infer; binary tensor data as an extension).
 * What `infer` answers a test tells it; everything asked is remembered. Speaks real HTTP.
 */
export class OpenInferenceServer {
  readonly seen: SeenRequest[] = [];
  /** What infer answers. */
  answer: (request: SeenRequest) => ScriptedAnswer | Promise<ScriptedAnswer> = () => notFound();
  /** null: the server has no metadata and knows no model. */
  model: ServedModel | null = null;
  extensions: readonly string[] = [];
  isReady = true;

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      void readRequest(request).then(async (seen) => {
        this.seen.push(seen);
        const { status, body, delayMs = 0, headers = {} } = await this.answerTo(seen);
        setTimeout(
          () => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body),
          delayMs,
        );
      });
    });
  }

  static async start(): Promise<OpenInferenceServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new OpenInferenceServer(server);
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Infer requests only. */
  get inferences(): readonly SeenRequest[] {
    return this.seen.filter(({ method }) => method === 'POST');
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private answerTo(request: SeenRequest): ScriptedAnswer | Promise<ScriptedAnswer> {
    if (request.method === 'POST') return this.answer(request);
    const path = decodeURIComponent(request.path.replace(/^.*?\/v2(?=\/|$)/, ''));
    if (path === '') return ok({ name: 'scripted', version: '1', extensions: this.extensions });
    if (path === '/health/live') return { status: 200, body: '' };
    if (path === '/health/ready') return { status: this.isReady ? 200 : 400, body: '' };
    const [, name, version, ready] = /^\/models\/([^/]+)\/versions\/([^/]+)(\/ready)?$/.exec(path) ?? [];
    const { model } = this;
    if (!model || name !== model.name || !model.versions.includes(version ?? '')) return notFound();
    return ready ? { status: 200, body: '' } : ok({ ...model, platform: 'onnx' });
  }
}

const ok = (body: object): ScriptedAnswer => ({ status: 200, body: JSON.stringify(body) });
const notFound = (): ScriptedAnswer => ({ status: 404, body: '{"error":"no such model"}' });

/** Outputs of an infer answer as the binary tensor data extension has them. */
export function binaryAnswer(
  about: { readonly model_name: string; readonly model_version: string },
  outputs: readonly (ServedTensor & { readonly bytes: Uint8Array })[],
): ScriptedAnswer {
  const head = Buffer.from(
    JSON.stringify({
      ...about,
      outputs: outputs.map(({ bytes, ...output }) => ({
        ...output,
        parameters: { binary_data_size: bytes.byteLength },
      })),
    }),
  );
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.byteLength),
    },
    body: Buffer.concat([head, ...outputs.map(({ bytes }) => bytes)]),
  };
}

async function readRequest(request: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const head = Number(request.headers['inference-header-content-length'] ?? bytes.byteLength);
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body: head > 0 ? JSON.parse(bytes.toString('utf8', 0, head)) : null,
    binary: bytes.subarray(head),
  };
}
