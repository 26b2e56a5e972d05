import type { LookupAddress } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isListedHost } from '../../kernel/check-address.ts';
import { ANSWER_BYTES_MAX, FETCH_MS_MAX, fetchJson } from './fetch-json.ts';

let server: Server;
let hits = 0;
let behave: RequestListener;
let host = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    hits += 1;
    behave(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  hits = 0;
  behave = (_, response) => response.end('{"keys":[]}');
});

/** A name server that says so of every name. */
const says = (address: string) =>
  ((_name: string, _options: object, done: (error: null, addresses: LookupAddress[]) => void) =>
    done(null, [{ address, family: 4 }])) as never;

const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    () => 'refused',
  );

describe('what is fetched for sign-in', () => {
  it('comes from a listed host', async () => {
    const answer = await fetchJson(new URL(`http://${host}/jwks`), { hosts: [host], networks: [] });
    expect(answer).toMatchObject({ status: 200, body: { keys: [] } });
  });

  it.each([
    'http://127.0.0.1',
    'http://127.1',
    'http://2130706433',
    'http://0x7f000001',
    'http://017700000001',
    'http://[::1]',
    'http://[::ffff:127.0.0.1]',
    'http://localhost.',
    'http://169.254.169.254',
    'http://[fe80::1]',
    'http://10.0.0.1',
    'https://keys.example:6379',
    'http://user@keys.example',
    'file:///etc/passwd',
    'gopher://keys.example',
    'http://①②⑦.⓪.⓪.①',
  ])('never from %s, which nobody listed', async (text) => {
    expect(isListedHost(new URL(text), ['keys.example'])).toBe(false);
    expect(await refused(fetchJson(new URL(text), { hosts: ['keys.example'], networks: [] }))).toBe(
      'refused',
    );
    expect(hits).toBe(0);
  });

  it.each(['169.254.169.254', '127.0.0.1', '10.0.0.1', '0.0.0.0'])(
    'never by a listed name that leads to %s',
    async (address) => {
      const port = host.split(':')[1];
      const url = new URL(`http://keys.example:${port}/`);
      const rules = { hosts: [`keys.example:${port}`], networks: [] };
      expect(await refused(fetchJson(url, rules, {}, says(address)))).toBe('refused');
      expect(hits).toBe(0);
    },
  );

  it('does not follow a redirect, read a flood, wait for a drip, or take what is no JSON object', async () => {
    const rules = { hosts: [host], networks: [] };
    const ask = () => refused(fetchJson(new URL(`http://${host}/`), rules));
    behave = (_, response) => response.writeHead(307, { location: `http://${host}/elsewhere` }).end('{}');
    expect([await ask(), hits]).toEqual(['refused', 1]);
    behave = (_, response) => response.end(`{"x":"${'x'.repeat(ANSWER_BYTES_MAX)}"}`);
    expect(await ask()).toBe('refused');
    behave = (_, response) => response.end('[]');
    expect(await ask()).toBe('refused');
    behave = (_, response) => void response.write('{');
    const begun = performance.now();
    expect(await ask()).toBe('refused');
    expect(performance.now() - begun).toBeLessThan(FETCH_MS_MAX + 2_000);
  });
});
