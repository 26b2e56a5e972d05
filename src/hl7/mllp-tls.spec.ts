import { afterEach, describe, expect, it } from 'vitest';
import { TLS_CLIENT as CLIENT, TLS_SERVER as SERVER } from '../../test/fixtures/tls-certificates.ts';
import { acknowledgements } from './ack.ts';
import { BACKOFF_FIRST_MS, MllpClient } from './mllp-client.ts';
import { MllpServer } from './mllp-server.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const message = Buffer.from('MSH|^~\\&|A|B|C|D|20260115||ORU^R01|1|P|2.5.1\r');

async function startServer(tls: object) {
  const server = new MllpServer({
    host: '127.0.0.1',
    port: 0,
    tls: { ...SERVER, ...tls },
    onMessage: async (bytes) =>
      acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' }),
  });
  open.push(server);
  const url = new URL(`mllps://127.0.0.1:${await server.listen()}`);
  const clientWith = (options: object) => {
    const client = new MllpClient(url, { tls: options, ackTimeoutMs: 2_000 });
    open.push(client);
    return client;
  };
  return { server, clientWith };
}

describe('MLLP over TLS', () => {
  it('sends to a server whose certificate it trusts, and to no other', async () => {
    const { server, clientWith } = await startServer({});
    expect((await clientWith({ ca: SERVER.cert }).send(message, '1')).code).toBe('AA');
    for (const ca of [CLIENT.cert, undefined]) {
      await expect(clientWith({ ca }).send(message, '1')).rejects.toMatchObject({ code: 'hl7.connection' });
    }
    await expect.poll(() => server.connectionCount).toBe(1);
  });

  it('takes only known senders where it asks for their certificate; one refused keeps its distance', async () => {
    const { clientWith } = await startServer({
      ca: CLIENT.cert,
      requestCert: true,
      rejectUnauthorized: true,
    });
    expect((await clientWith({ ca: SERVER.cert, ...CLIENT }).send(message, '1')).code).toBe('AA');
    const stranger = clientWith({ ca: SERVER.cert });
    const started = performance.now();
    for (let n = 0; n < 3; n += 1) {
      await expect(stranger.send(message, '1')).rejects.toMatchObject({
        code: 'hl7.connection',
        retry: true,
      });
    }
    // The handshake looks good each time (TLS 1.3); the wait grows all the same.
    expect(performance.now() - started).toBeGreaterThan(BACKOFF_FIRST_MS * 3);
  });

  it('takes new certificates without a restart, and refuses old protocol versions', async () => {
    const { server, clientWith } = await startServer({});
    server.reloadTls(CLIENT);
    expect((await clientWith({ ca: CLIENT.cert }).send(message, '1')).code).toBe('AA');
    const old = clientWith({ ca: CLIENT.cert, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
    await expect(old.send(message, '1')).rejects.toMatchObject({ code: 'hl7.connection' });
  });
});
