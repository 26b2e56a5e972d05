import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  /** Parsed; undefined for an empty body. */
  readonly body: unknown;
}

/** A server under load: as many kept connections as asked for, every answer read to its end and parsed. */
export class FhirTarget {
  private readonly agent: Agent;
  private readonly url: URL;

  /** `base`: with a slash at its end. */
  constructor(
    base: string,
    private readonly token: string | null,
    connections: number,
  ) {
    this.url = new URL(base);
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  send(
    method: string,
    path: string,
    resource?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const body = resource === undefined ? undefined : Buffer.from(JSON.stringify(resource));
    const options = {
      method,
      agent: this.agent,
      host: this.url.hostname,
      port: this.url.port,
      path: this.url.pathname + path,
      headers: {
        accept: 'application/fhir+json',
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body ? { 'content-type': 'application/fhir+json', 'content-length': String(body.length) } : {}),
        ...headers,
      },
    };
    return new Promise((resolve, reject) => {
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
