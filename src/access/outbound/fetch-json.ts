import { lookup as systemLookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { type AddressRules, checkedLookup, isListedHost, mayConnect } from '../../kernel/check-address.ts';

/** Key sets and discovery documents are small and near; a sign-in must not hang on them. */
export const FETCH_MS_MAX = 3_000;
export const ANSWER_BYTES_MAX = 65_536;

export interface FetchOptions {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** A form, sent as application/x-www-form-urlencoded. */
  readonly form?: Readonly<Record<string, string>>;
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** `Cache-Control`, in lower case; empty when there is none. */
  readonly cacheControl: string;
}

/** Where the access folder may call, as the operator said: hosts by name (and port), and private ranges their names may lie in. */
export interface OutboundRules extends AddressRules {
  /** `host` or `host:port`, lower case. */
  readonly hosts: readonly string[];
}

/**
 * One request for a JSON object to a listed host. The name is resolved once and the connection goes to an address that was checked; no
 * redirect is followed, no proxy asked, no connection shared; the answer is bounded in time and size.
 *
 * @throws Error; whoever asked turns it into a refusal of his own
 */
export function fetchJson(
  url: URL,
  rules: OutboundRules,
  options: FetchOptions = {},
  lookup: typeof systemLookup = systemLookup,
): Promise<JsonAnswer> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!isListedHost(url, rules.hosts)) return Promise.reject(notAllowed());
  if (isIP(host) !== 0 && !mayConnect(host, true, rules)) return Promise.reject(notAllowed());
  const form = options.form && new URLSearchParams(options.form).toString();
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, {
      method: options.method ?? 'GET',
      agent: false,
      lookup: checkedLookup(lookup, rules, notAllowed),
      headers: {
        accept: 'application/json',
        ...(form === undefined
          ? {}
          : {
              'content-type': 'application/x-www-form-urlencoded',
              'content-length': Buffer.byteLength(form),
            }),
        ...options.headers,
      },
    });
    const patience = setTimeout(() => request.destroy(new Error('no answer in time')), FETCH_MS_MAX);
    request.on('response', (response) => void readAnswer(response).then(resolve, reject));
    request.on('error', reject);
    request.on('close', () => clearTimeout(patience));
    request.end(form);
  });
}

async function readAnswer(response: IncomingMessage): Promise<JsonAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) throw new Error('a redirect is not followed');
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Error('no JSON object');
  return {
    status,
    body: body as Record<string, unknown>,
    cacheControl: String(response.headers['cache-control'] ?? '').toLowerCase(),
  };
}

const notAllowed = () => new Error('this address may not be called');
