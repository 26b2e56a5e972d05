import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

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

  /** Listens, on the same port as before. */
  async comeBack(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        this.deliveries.push({ method, path, headers, body: Buffer.concat(chunks).toString('utf8') });
        response
          .writeHead(this.status, this.status === 307 ? { location: `${this.url}/elsewhere` } : {})
          .end();
      });
    });
    await new Promise<void>((resolve) => server.listen(this.bound, '127.0.0.1', resolve));
    this.bound = (server.address() as AddressInfo).port;
    this.server = server;
  }

  async goDown(): Promise<void> {
    const server = this.server;
    this.server = null;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }
}
