import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a scripted server answers: a status and a body, sent after `delayMs`; `headers` for odd servers. */
export interface ScriptedAnswer {
  readonly status: number;
  readonly body: string;
  readonly delayMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** An inference server that answers what a test tells it to and remembers what it was asked. Speaks real HTTP. */
export class OpenInferenceServer {
  readonly seen: SeenRequest[] = [];
  answer: (request: SeenRequest) => ScriptedAnswer = () => ({ status: 404, body: '{"error":"no script"}' });

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      void readBody(request).then((text) => {
        const seen = {
          method: request.method ?? '',
          path: request.url ?? '',
          body: text ? JSON.parse(text) : null,
        };
        this.seen.push(seen);
        const { status, body, delayMs = 0, headers = {} } = this.answer(seen);
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

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
