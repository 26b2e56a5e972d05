import { Failure } from '../kernel/errors.ts';
import type { DicomwebConnection } from './dicomweb-connection.ts';
import { sendDicomweb } from './dicomweb-request.ts';

/**
 * What dicomweb-client needs of an XMLHttpRequest, over our own bounded request. The packages that bring XMLHttpRequest to
 * Node follow redirects and send the headers, with the credentials, to wherever these lead, and hold any answer in memory
 * whatever its size. dicomweb-client reports nothing but a status, so what really went wrong is kept in `failure`.
 */
export class XhrOverFetch {
  readyState = 0;
  status = 0;
  response: unknown = null;
  responseType = '';
  withCredentials = false;
  failure: unknown = undefined;
  onreadystatechange: (() => void) | null = null;
  onprogress: unknown = null;
  onloadstart: unknown = null;
  onloadend: unknown = null;
  private method: 'GET' | 'POST' = 'GET';
  private url: URL;
  private readonly requestHeaders: Record<string, string> = {};
  private responseHeaders = new Headers();

  constructor(
    private readonly connection: DicomwebConnection,
    private readonly limits: { readonly timeMs: number; readonly answerBytesMax: number },
  ) {
    this.url = connection.root;
  }

  open(method: string, url: string): void {
    this.method = method.toUpperCase() === 'POST' ? 'POST' : 'GET';
    this.url = new URL(url);
  }

  setRequestHeader(name: string, value: string): void {
    this.requestHeaders[name.toLowerCase()] = value;
  }

  getResponseHeader(name: string): string | null {
    return this.responseHeaders.get(name);
  }

  getAllResponseHeaders(): string {
    return [...this.responseHeaders].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  }

  send(data?: ArrayBuffer | Uint8Array): void {
    void this.exchange(data === undefined ? undefined : new Uint8Array(data))
      .catch((error: unknown) => {
        this.failure = error;
        // dicomweb-client takes every other status for an answer it can read.
        this.status = 0;
        this.response = null;
      })
      .then(() => {
        this.readyState = 4;
        this.onreadystatechange?.();
      });
  }

  private async exchange(body: Uint8Array | undefined): Promise<void> {
    const headers = { accept: 'application/dicom+json', ...this.requestHeaders };
    const request = { method: this.method, headers, ...this.limits, ...(body === undefined ? {} : { body }) };
    const answer = await sendDicomweb(this.connection, this.url, request);
    const chunks: Buffer[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    this.status = answer.status;
    this.response = json(Buffer.concat(chunks));
    const type = answer.headers.get('content-type') ?? '';
    if (answer.status === 200 || answer.status === 202) {
      // Seen on servers whose route is not built: 200 and nothing. An empty list would be taken for "none".
      if (this.response === undefined || /^\s*multipart\//i.test(type)) throw notJson();
      this.responseHeaders = new Headers({ 'content-type': 'application/dicom+json' });
    }
  }
}

/** undefined for what is no JSON: an error page, or nothing. */
function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function notJson(): Failure {
  return new Failure(
    'dicomweb.answer',
    'The PACS answers without a DICOM JSON body. Check that DICOMWEB_URL is the service root.',
  );
}
