import type { LookupAddress } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isListedHost, mayConnect } from '../../kernel/check-address.ts';
import { type Outgoing, sendToHost } from './send-to-host.ts';
import { secretFor, signBody } from './sign-body.ts';

let server: Server;
let port = 0;
let hits = 0;
beforeAll(async () => {
  server = createServer((_, response) => {
    hits += 1;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => void server.close());

const outgoing = (url: string): Outgoing => ({
  method: 'POST',
  url: new URL(url),
  headers: [],
  body: 'x',
  timeoutMs: 3_000,
});
/** A name server that gives these answers, one after the other. */
function nameServer(...answers: string[][]) {
  let asked = 0;
  const lookup = (
    _name: string,
    _options: object,
    done: (error: null, addresses: LookupAddress[]) => void,
  ) => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? [];
    asked += 1;
    done(
      null,
      answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return { lookup: lookup as never, asked: () => asked };
}

describe('endpoints that may be stored', () => {
  it.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://017700000001/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://localhost./',
    'http://169.254.169.254/latest',
    'http://[fe80::1]/',
    'http://10.0.0.1/',
    'http://ehr.example@evil.example/',
    'http://user@ehr.example/',
    'file:///etc/passwd',
    'gopher://ehr.example/',
    'https://ehr.example:6379/',
    'https://ehr.example.evil.example/',
    'https://ⓔhr.example.evil/',
  ])('%s is none of them when ehr.example is listed', (url) => {
    expect(URL.canParse(url) && isListedHost(new URL(url), ['ehr.example'])).toBe(false);
  });

  it('a name stands for the port of the scheme, name:port for that port', () => {
    expect(isListedHost(new URL('https://ehr.example/hook'), ['ehr.example'])).toBe(true);
    expect(isListedHost(new URL('https://ehr.example/hook'), ['ehr.example:443'])).toBe(true);
    expect(isListedHost(new URL('http://ehr.example:8443/hook'), ['ehr.example:8443'])).toBe(true);
  });
});

describe('addresses that may be connected to', () => {
  it.each([
    ['93.184.216.34', true, true],
    ['2606:2800:220:1::1', true, true],
    ['127.0.0.1', false, true],
    ['::1', false, true],
    ['::ffff:127.0.0.1', false, true],
    ['10.1.2.3', false, true],
    ['::ffff:10.1.2.3', false, true],
    ['192.168.1.1', false, true],
    ['fd12::1', false, true],
    ['10.20.1.1', true, true],
    ['169.254.169.254', false, false],
    ['::ffff:169.254.169.254', false, false],
    ['fe80::1', false, false],
    ['fd00:ec2::254', false, false],
    ['64:ff9b::7f00:1', false, false],
    ['0.0.0.0', false, false],
    ['::', false, false],
    ['224.0.0.1', false, false],
    ['255.255.255.255', false, false],
    ['nonsense', false, false],
  ])('%s: by a name %s, written out and listed %s', (address, byName, written) => {
    const rules = { networks: ['10.20.0.0/16'] };
    expect([mayConnect(address, false, rules), mayConnect(address, true, rules)]).toEqual([byName, written]);
  });
});

describe('a request', () => {
  it('to a name that leads to this machine is not made', async () => {
    const { lookup } = nameServer(['127.0.0.1']);
    await expect(
      sendToHost(outgoing(`http://ehr.example:${port}/`), { networks: [] }, lookup),
    ).rejects.toMatchObject({
      code: 'subscription.not-delivered',
      message: /SUBSCRIPTION_NETWORKS/,
    });
    expect(hits).toBe(0);
  });

  it('to a name of which one address is not allowed is not made either', async () => {
    const { lookup } = nameServer(['93.184.216.34', '127.0.0.1']);
    await expect(
      sendToHost(outgoing(`http://ehr.example:${port}/`), { networks: [] }, lookup),
    ).rejects.toThrow();
    expect(hits).toBe(0);
  });

  it('goes to the address that was checked, whatever the name server says next', async () => {
    // The ranges make loopback no less forbidden; a documentation address answers nobody.
    const rebinding = nameServer(['192.0.2.1'], ['127.0.0.1']);
    await expect(
      sendToHost(
        { ...outgoing(`http://ehr.example:${port}/`), timeoutMs: 300 },
        { networks: [] },
        rebinding.lookup,
      ),
    ).rejects.toMatchObject({ code: 'subscription.not-delivered' });
    expect([rebinding.asked(), hits]).toEqual([1, 0]);
  });

  it('to an address that is written out and listed is made', async () => {
    expect(await sendToHost(outgoing(`http://127.0.0.1:${port}/`), { networks: [] })).toBe(200);
    expect(hits).toBe(1);
  });

  it('to a link-local address is never made', async () => {
    await expect(
      sendToHost(outgoing('http://169.254.169.254/'), { networks: ['169.254.0.0/16'] }),
    ).rejects.toMatchObject({
      code: 'subscription.not-delivered',
    });
  });
});

describe('signatures', () => {
  it('follow a known answer, and secrets belong to a host or a host and port', () => {
    expect(signBody('{}', 'key', new Date(1_000))).toBe(
      't=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224',
    );
    expect(secretFor(new URL('https://ehr.example/x'), { 'ehr.example': 'a', 'ehr.example:443': 'b' })).toBe(
      'b',
    );
    expect(secretFor(new URL('https://ehr.example:8443/x'), { 'ehr.example': 'a' })).toBe('a');
    expect(secretFor(new URL('https://ehr.example.evil/x'), { 'ehr.example': 'a' })).toBeNull();
    expect(secretFor(new URL('https://constructor/x'), {})).toBeNull();
  });
});
