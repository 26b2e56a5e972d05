import { lookup as systemLookup } from 'node:dns';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { type AddressRules, checkedLookup, mayConnect } from '../../kernel/check-address.ts';
import { Failure } from '../../kernel/errors.ts';

export interface Outgoing {
  readonly method: 'POST' | 'PUT';
  readonly url: URL;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** For everything: name, connection, request, headers of the answer. */
  readonly timeoutMs: number;
}

/** Name, TCP and TLS; longer means that nobody is there. */
export const CONNECT_MS_MAX = 5_000;
/** Nothing of an answer is used but its status; this much is read so that a well-behaved listener sees a clean end. */
export const ANSWER_BYTES_MAX = 65_536;
export const ANSWER_BODY_MS_MAX = 1_000;

/**
 * One request to another system. The name is resolved once, every address is held against the rules, and the connection goes to one that was
 * checked: a second answer of the name server changes nothing. Redirects are not followed, no proxy of the environment is asked, no
 * connection is shared.
 *
 * @returns the status code
 * @throws Failure `subscription.not-delivered` when nobody answers in time, or the address is not allowed
 */
export function sendToHost(
  outgoing: Outgoing,
  rules: AddressRules,
  lookup: typeof systemLookup = systemLookup,
): Promise<number> {
  const { url, method, headers, body, timeoutMs } = outgoing;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !mayConnect(host, true, rules)) return Promise.reject(notAllowed());
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, {
      method,
      agent: false,
      lookup: checkedLookup(lookup, rules, notAllowed),
      headers: {},
    });
    for (const [name, value] of headers) request.appendHeader(name, value);
    request.setHeader('Content-Length', Buffer.byteLength(body));
    const patience = setTimeout(() => request.destroy(new Error('timeout')), timeoutMs);
    endWhenNotConnected(request);
    request.on('response', (response) => {
      clearTimeout(patience);
      drain(request, response);
      resolve(response.statusCode ?? 0);
    });
    request.on('error', (cause) => {
      clearTimeout(patience);
      reject(
        cause instanceof Failure
          ? cause
          : new Failure('subscription.not-delivered', 'The listener could not be reached.', { cause }),
      );
    });
    request.end(body);
  });
}

const notAllowed = () =>
  new Failure(
    'subscription.not-delivered',
    'The name of the endpoint leads to an address that may not be called. See SUBSCRIPTION_NETWORKS.',
  );

function endWhenNotConnected(request: ClientRequest): void {
  const connected = setTimeout(() => request.destroy(new Error('timeout')), CONNECT_MS_MAX);
  request.on('socket', (socket) => {
    socket.once(socket instanceof Object && 'encrypted' in socket ? 'secureConnect' : 'connect', () =>
      clearTimeout(connected),
    );
  });
  request.on('close', () => clearTimeout(connected));
}

function drain(request: ClientRequest, response: IncomingMessage): void {
  const end = setTimeout(() => request.destroy(), ANSWER_BODY_MS_MAX);
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) request.destroy();
  });
  response.on('error', () => undefined);
  response.on('close', () => clearTimeout(end));
}
