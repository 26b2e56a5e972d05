import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { freePort } from './free-port.ts';

export interface Delivery {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Another system that listens to rest-hook Subscriptions: records what it is sent and answers as told. */
export class Subscriber {
  readonly deliveries: Delivery[] = [];
  /** What is answered from now on. */
  status = 200;
  /** Answers otherwise than with `status` and nothing: for listeners that behave badly. */
  behave: ((delivery: Delivery, response: ServerResponse) => void) | null = null;
  private server: Server | null = null;
  private bound = 0;

  static async start(): Promise<Subscriber> {
    const subscriber = new Subscriber();
    await subscriber.comeBack();
    return subscriber;
  }

  /** `127.0.0.1:<port>`, as SUBSCRIPTION_HOSTS names it. */
  get host(): string {
    return `127.0.0.1:${this.bound}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** The bodies that came to a path, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came.
  bodies(path: string): any[] {
    return this.deliveries
      .filter((one) => one.path === path && one.body !== '')
      .map(({ body }) => JSON.parse(body));
  }

  /** Listens, on the same port as before. */
  async comeBack(): Promise<void> {
    const server = createServer((request, response) => this.hear(request, response));
    if (this.bound === 0) this.bound = await freePort();
    await new Promise<void>((resolve) => server.listen(this.bound, '127.0.0.1', resolve));
    this.server = server;
  }

  async goDown(): Promise<void> {
    const server = this.server;
    this.server = null;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }

  private hear(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      const delivery = { method, path, headers, body: Buffer.concat(chunks).toString('utf8') };
      this.deliveries.push(delivery);
      if (this.behave) return this.behave(delivery, response);
      response.writeHead(this.status, this.status === 307 ? { location: `${this.url}/elsewhere` } : {}).end();
    });
  }
}
