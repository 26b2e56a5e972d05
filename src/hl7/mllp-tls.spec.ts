import { afterEach, describe, expect, it } from 'vitest';
import { acknowledgements } from './ack.ts';
import { BACKOFF_FIRST_MS, MllpClient } from './mllp-client.ts';
import { MllpServer } from './mllp-server.ts';

/** Self-signed for 127.0.0.1, valid for a hundred years, used nowhere else. */
const SERVER = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUbLLJ2o7QiKwKiHk2RBBsNwXu7tkwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGc2VydmVyMCAXDTI2MTEyMTIyMjU1MFoYDzIxMjYxMDI4MjIy
NTUwWjARMQ8wDQYDVQQDDAZzZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARGYGgLy97Z9LhOUusjdm5tFy7CVHjtu1Qrs53j9ALd5r3+w6h/Pi81tEKOXUmc
Zgm7C+Xi3lconPiNEntl/StVo28wbTAdBgNVHQ4EFgQUflG90nYCD6BFsanazeCj
5zc3YjEwHwYDVR0jBBgwFoAUflG90nYCD6BFsanazeCj5zc3YjEwDwYDVR0TAQH/
BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
RwAwRAIgPbXo/GL/G6GUQpb8Z9W6BenYTi6YNPk4OhJcqZ2/RCQCIFhQg5RRsjiO
xXpEMl+I9ncI/yeYAvHnVKWCmxMzrf5/
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrZGmPKav7MEH5rd/
4FY2guIWlj9yf9pt6zcqXRo2aHmhRANCAARGYGgLy97Z9LhOUusjdm5tFy7CVHjt
u1Qrs53j9ALd5r3+w6h/Pi81tEKOXUmcZgm7C+Xi3lconPiNEntl/StV
-----END PRIVATE KEY-----`,
};
const CLIENT = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUQXFZ7j9/MHMfE9CWC12DQoVHgR0wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGY2xpZW50MCAXDTI2MTEyMTIyMjU1MFoYDzIxMjYxMDI4MjIy
NTUwWjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAR7rtRJEICRwZtswCzpnZRhlhJ3DyaNZHWPLMf3cCg+FT2456nrYjy6F9ld480Q
bijEoGAFaqtgs3b1QeeZnOlho28wbTAdBgNVHQ4EFgQUEd+LdyNvUXDeDsSDU07j
GzxW5kswHwYDVR0jBBgwFoAUEd+LdyNvUXDeDsSDU07jGzxW5kswDwYDVR0TAQH/
BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAPw/v80YBRBKVBblEHbc0de1WweGDChCMJCER9ccqFDOAiEA0VRi4GnD
yu+dVCeYzCOxW+77KBCHIpLkJv/pSL8whms=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW7MwIgBiYnUV25WJ
dPDjyQT6H/jNzXtBPZVLNuS332uhRANCAAR7rtRJEICRwZtswCzpnZRhlhJ3DyaN
ZHWPLMf3cCg+FT2456nrYjy6F9ld480QbijEoGAFaqtgs3b1QeeZnOlh
-----END PRIVATE KEY-----`,
};

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
