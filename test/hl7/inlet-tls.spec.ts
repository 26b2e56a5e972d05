import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { readTlsFiles } from '../../src/config/read-tls-files.ts';
import { readSettings } from '../../src/config/settings.ts';
import { acknowledgements } from '../../src/hl7/ack.ts';
import { daysLeft, expiryWarning } from '../../src/hl7/certificate-days.ts';
import { certificateNames } from '../../src/hl7/mllp/certificate-names.ts';
import { MllpClient } from '../../src/hl7/mllp-client.ts';
import { TlsKeeper } from '../../src/hl7/tls-keeper.ts';
import { DoorEvents } from '../../src/steps/inlet/door-events.ts';
import { InletListener } from '../../src/steps/inlet/inlet-listener.ts';
import type { MessageInlet } from '../../src/steps/inlet/message-inlet.ts';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { sendOrder } from '../peers/ris.ts';

const folder = mkdtempSync(join(tmpdir(), 'prelim-inlet-tls-'));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const use = (pair: { cert: string; key: string }) => ({
  HL7_TLS_CERT: file('cert.pem', pair.cert),
  HL7_TLS_KEY: file('key.pem', pair.key),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const audited: { detail?: string; actor?: { address?: string } }[] = [];
const events = new DoorEvents(
  { audit: { record: async (entry: (typeof audited)[number]) => void audited.push(entry) } } as never,
  { warn: () => undefined },
);
const MESSAGE = Buffer.from('MSH|^~\\&|A|B|C|D|20260115||ORM^O01|7|P|2.5.1\r');
const peers: string[] = [];
const inlet = {
  take: async (bytes: Buffer, peer: string) => {
    peers.push(peer);
    return acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' });
  },
} as unknown as MessageInlet;

async function startDoor(env: NodeJS.ProcessEnv): Promise<InletListener> {
  const door = new InletListener(
    inlet,
    readSettings({ HL7_PORT: '0', ...env }),
    pino({ level: 'silent' }),
    events,
  );
  await door.onApplicationBootstrap();
  open.push({ close: () => door.beforeApplicationShutdown() });
  return door;
}
function clientOf(door: InletListener, tls: object): MllpClient {
  const client = new MllpClient(new URL(`mllps://127.0.0.1:${door.port}`), { tls, ackTimeoutMs: 2_000 });
  open.push(client);
  return client;
}
const isTaken = async (client: MllpClient) => (await client.send(MESSAGE, '7')).code === 'AA';

describe('The MLLP door over TLS', () => {
  it('takes messages over TLS, and in the clear no more', async () => {
    const door = await startDoor(use(TLS_SERVER));
    expect(await isTaken(clientOf(door, { ca: TLS_SERVER.cert }))).toBe(true);
    await expect(sendOrder(door.port, MESSAGE, 1_000)).rejects.toThrow();
    expect(door.state).toMatchObject({ unansweredBytes: 0 });
  });

  it('asks for a certificate of an authority that is named, and says whose it was', async () => {
    const door = await startDoor({ ...use(TLS_SERVER), HL7_TLS_CA: file('ca.pem', TLS_CLIENT.cert) });
    await expect(clientOf(door, { ca: TLS_SERVER.cert }).send(MESSAGE, '7')).rejects.toMatchObject({
      code: 'hl7.connection',
    });
    expect(await isTaken(clientOf(door, { ca: TLS_SERVER.cert, ...TLS_CLIENT }))).toBe(true);
    expect(peers.at(-1)).toBe('127.0.0.1 CN=client');
    // Turned away without a message: counted, and audited once a minute for each address.
    const before = events.events.get('tls-failed') ?? 0;
    expect(before).toBeGreaterThan(0);
    await expect(clientOf(door, { ca: TLS_SERVER.cert }).send(MESSAGE, '7')).rejects.toThrow();
    await expect.poll(() => events.events.get('tls-failed')).toBe(before + 1);
    expect(audited).toEqual([
      expect.objectContaining({ detail: 'tls-failed', outcome: 4, interaction: 'hl7-door' }),
    ]);
    expect(audited[0]?.actor?.address).toMatch(/127\.0\.0\.1/);
  });

  it('lets in only certificates with a name that is listed, where names are listed', async () => {
    const asks = { ...use(TLS_SERVER), HL7_TLS_CA: file('ca.pem', TLS_CLIENT.cert) };
    const known = { ca: TLS_SERVER.cert, ...TLS_CLIENT };
    const others = await startDoor({ ...asks, HL7_TLS_NAMES: 'ris.example, his.example' });
    const before = peers.length;
    await expect(clientOf(others, known).send(MESSAGE, '7')).rejects.toMatchObject({
      code: 'hl7.connection',
    });
    expect(peers).toHaveLength(before);
    const door = await startDoor({ ...asks, HL7_TLS_NAMES: 'ris.example, Client' });
    expect(await isTaken(clientOf(door, known))).toBe(true);
    await expect(startDoor({ ...use(TLS_SERVER), HL7_TLS_NAMES: 'client' })).rejects.toMatchObject({
      code: 'config.invalid',
    });
  });

  it('reads the names of a certificate: common and alternative ones, and nothing that only looks like one', () => {
    const names = (subject: object, subjectaltname: string) => [
      ...certificateNames({ subject: subject as never, subjectaltname }),
    ];
    expect(names({ CN: 'RIS' }, 'DNS:ris.example, IP Address:10.0.0.7')).toEqual([
      'ris',
      'ris.example',
      '10.0.0.7',
    ]);
    expect(names({ CN: ['a', 'B'] }, '')).toEqual(['a', 'b']);
    // A quoted name must not be taken apart into others.
    expect(names({}, 'DNS:"x, DNS:ris.example, y", DNS:his.example')).toEqual([]);
  });

  it('takes new files on a signal; connections that are open go on', async () => {
    const door = await startDoor(use(TLS_SERVER));
    const old = clientOf(door, { ca: TLS_SERVER.cert });
    expect(await isTaken(old)).toBe(true);
    use(TLS_CLIENT);
    process.emit('SIGHUP');
    expect(await isTaken(old)).toBe(true);
    expect(door.state?.connections).toBe(1);
    expect(await isTaken(clientOf(door, { ca: TLS_CLIENT.cert }))).toBe(true);
    await expect(clientOf(door, { ca: TLS_SERVER.cert }).send(MESSAGE, '7')).rejects.toThrow();
  });

  it('keeps the files in use while new ones are wrong', async () => {
    const door = await startDoor(use(TLS_SERVER));
    for (const wrong of ['', 'no PEM', TLS_CLIENT.cert]) {
      file('cert.pem', wrong);
      process.emit('SIGHUP');
      expect(await isTaken(clientOf(door, { ca: TLS_SERVER.cert }))).toBe(true);
    }
  });

  it('refuses authorities without a certificate of its own', async () => {
    await expect(startDoor({ HL7_TLS_CA: file('ca.pem', TLS_CLIENT.cert) })).rejects.toMatchObject({
      code: 'config.invalid',
    });
  });

  it('listens for signals no more once it is closed', async () => {
    const before = process.listenerCount('SIGHUP');
    const door = await startDoor(use(TLS_SERVER));
    expect(process.listenerCount('SIGHUP')).toBe(before + 1);
    await door.beforeApplicationShutdown();
    expect(process.listenerCount('SIGHUP')).toBe(before);
  });
});

describe('The end of a certificate', () => {
  const end = new X509Certificate(TLS_SERVER.cert).validToDate.getTime();
  const before = (days: number) => new Date(end - days * 86_400_000 - 1);

  it('is counted in whole days, the first of several certificates deciding', () => {
    expect(daysLeft(TLS_SERVER.cert, before(12))).toBe(12);
    expect(daysLeft(`${TLS_CLIENT.cert}\n${TLS_SERVER.cert}`, before(12))).toBeLessThanOrEqual(12);
    expect(daysLeft(TLS_SERVER.cert, before(-3))).toBe(-3);
    expect(daysLeft('no PEM', before(1))).toBeNull();
  });

  it.each([
    [31, null],
    [30, null],
    [29, 30],
    [7, 30],
    [6, 7],
    [1, 7],
    [0, 1],
    [-1, 0],
  ])('%i days before it the warning is %s', (days, warning) => {
    expect(expiryWarning(days)).toBe(warning);
  });

  it('is told once for each of 30, 7 and 1 days, and as an error when it has come', () => {
    const told: string[] = [];
    let now = before(40);
    const settings = use(TLS_SERVER);
    const files = readTlsFiles({ ...settings, HL7_TLS_CA: '' })!;
    const log = {
      info: () => undefined,
      warn: (at: object) => void told.push(JSON.stringify(at)),
      error: (at: object) => void told.push(`error ${JSON.stringify(at)}`),
    };
    const keeper = new TlsKeeper(
      { ...settings, HL7_TLS_CA: '' },
      files,
      () => undefined,
      log as never,
      () => now,
    );
    for (const days of [40, 25, 24, 6, 5, 0, -1, -2]) {
      now = before(days);
      keeper.check();
    }
    expect(told).toEqual([
      '{"setting":"HL7_TLS_CERT","days":25}',
      '{"setting":"HL7_TLS_CERT","days":6}',
      '{"setting":"HL7_TLS_CERT","days":0}',
      'error {"setting":"HL7_TLS_CERT"}',
    ]);
    expect(keeper.daysLeft).toBe(-2);
  });
});
