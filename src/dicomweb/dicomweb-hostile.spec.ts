import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dicomFile } from '../../test/peers/dicom-file.ts';
import { authorizationFor, dicomwebConnection } from './dicomweb-connection.ts';
import { DicomwebSource, sweepSpool } from './dicomweb-source.ts';
import { storeInstances } from './stow.ts';

/** A PACS that says what the test tells it to; what it was asked is kept. */
let server: Server;
let root: URL;
let folder: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const asked: { url: string; accept: string; authorization: string | undefined }[] = [];

beforeEach(async () => {
  asked.splice(0);
  folder = await mkdtemp(join(tmpdir(), 'spool-'));
  server = createServer((request, response) => {
    asked.push({
      url: request.url ?? '',
      accept: request.headers.accept ?? '',
      authorization: request.headers.authorization,
    });
    request.resume();
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  root = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/pacs`);
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

const connection = (times = {}) => dicomwebConnection(root, { token: 'secret' }, times);
const source = (times = {}) => new DicomwebSource(connection(times), folder);
const json = (status: number, body: unknown) => (_request: IncomingMessage, response: ServerResponse) => {
  response
    .writeHead(status, { 'content-type': 'application/dicom+json' })
    .end(body === '' ? '' : JSON.stringify(body));
};
const instanceRow = (sop: string, study = '1.2') => ({
  '00080018': { vr: 'UI', Value: [sop] },
  '0020000D': { vr: 'UI', Value: [study] },
});
const multipart =
  (...files: Buffer[]) =>
  (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' });
    for (const file of files)
      response.write(
        Buffer.concat([Buffer.from('\r\n--b\r\nContent-Type: application/dicom\r\n\r\n'), file]),
      );
    response.end('\r\n--b--');
  };
const UIDS = ['1.2.1.1', '1.2.1.2', '1.2.1.3', '1.2.1.4', '1.2.1.5'];
const file = (sop: string, more = {}) => dicomFile({ study: '1.2', series: '1.2.1', sop, ...more });

describe('credentials', () => {
  it('go to the exact scheme, host and port only (T4)', () => {
    const own = dicomwebConnection(new URL('https://pacs.example/dicom-web'), { user: 'u', password: 'p' });
    expect(authorizationFor(own, new URL('https://pacs.example/dicom-web/studies'))).toBe(
      `Basic ${Buffer.from('u:p').toString('base64')}`,
    );
    for (const other of [
      'https://pacs.example.evil/dicom-web',
      'http://pacs.example/dicom-web',
      'https://pacs.example:8443/dicom-web',
      'https://evil/https://pacs.example',
    ]) {
      expect(authorizationFor(own, new URL(other))).toBeUndefined();
    }
  });

  it.each([
    'http://user:pw@pacs.example/',
    'ftp://pacs.example/',
    'http://pacs.example/?x=1',
    'http://pacs.example/#x',
  ])('are not taken from %s', (url) => {
    expect(() => dicomwebConnection(new URL(url))).toThrow(
      expect.objectContaining({ code: 'config.invalid' }),
    );
  });

  it('do not follow a redirect, neither of a query nor of a store', async () => {
    let elsewhere = 0;
    const other = createServer((_request, response) => {
      elsewhere++;
      response.end('[]');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    answer = (_request, response) =>
      void response
        .writeHead(307, { location: `http://127.0.0.1:${(other.address() as AddressInfo).port}/` })
        .end();
    await expect(source().countInstances('1.2')).rejects.toMatchObject({ code: 'dicomweb.redirect' });
    await expect(source().fetch('1.2', '1.2.1', UIDS)).rejects.toMatchObject({ code: 'dicomweb.redirect' });
    await expect(storeInstances(connection(), [file('1.2.1.1')])).rejects.toMatchObject({
      code: 'dicomweb.redirect',
    });
    expect(elsewhere).toBe(0);
    expect(asked[0]?.authorization).toBe('Bearer secret');
    await new Promise((resolve) => other.close(resolve));
  });
});

describe('UIDs', () => {
  it.each(['../../etc/x', '1.2/3?x=', '1.2%2F', '', '.', '1..2', '1'.repeat(65)])(
    'such as %j never reach the server (T28)',
    async (uid) => {
      await expect(source().countInstances(uid)).rejects.toMatchObject({ code: 'dicomweb.uid' });
      await expect(source().metadata(uid)).rejects.toMatchObject({ code: 'dicomweb.uid' });
      await expect(source().fetch('1.2', uid, ['1.2.3'])).rejects.toMatchObject({ code: 'dicomweb.uid' });
      await expect(source().fetch('1.2', '1.2.1', [uid])).rejects.toMatchObject({ code: 'dicomweb.uid' });
      expect(asked).toEqual([]);
    },
  );
});

describe('queries', () => {
  it('count each instance once when pages overlap, and end when the server ignores the offset', async () => {
    answer = json(200, [instanceRow('1.2.1.1'), instanceRow('1.2.1.2'), instanceRow('1.2.1.1')]);
    expect(await source().countInstances('1.2')).toBe(2);
    expect(asked).toHaveLength(2);
  });

  it('go through every page', async () => {
    answer = (request, response) => {
      const offset = Number(new URL(request.url ?? '', root).searchParams.get('offset'));
      const rows = Array.from({ length: Math.max(0, Math.min(100, 350 - offset)) }, (_, at) =>
        instanceRow(`1.2.${offset + at + 1}`),
      );
      (rows.length === 0 ? json(204, '') : json(200, rows))(request, response);
    };
    expect(await source().countInstances('1.2')).toBe(350);
  });

  it('do not count rows of another study, where the server does not use the filter', async () => {
    answer = json(200, [instanceRow('1.2.1.1'), instanceRow('9.9.1', '9.9')]);
    expect(await source().countInstances('1.2')).toBe(1);
  });

  it('drop studies outside the dates asked for', async () => {
    const study = (uid: string, date: string) => ({
      '0020000D': { vr: 'UI', Value: [uid] },
      '00080020': { vr: 'DA', Value: [date] },
    });
    const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    answer = (request, response) =>
      json(
        200,
        request.url?.includes('/instances')
          ? [instanceRow('1.2.1.1', '1.2')]
          : [study('1.2', today), study('1.3', '20010101')],
      )(request, response);
    expect(await source().recentStudies(1)).toEqual([
      { studyInstanceUid: '1.2', numberOfInstances: 1, identity: expect.any(String) },
    ]);
  });

  it('count again only when the number the server states has changed', async () => {
    let stated = 1;
    const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    answer = (request, response) =>
      json(
        200,
        request.url?.includes('/instances')
          ? [instanceRow('1.2.1.1')]
          : [
              {
                ...instanceRow('x', '1.2'),
                '00080020': { vr: 'DA', Value: [today] },
                '00201208': { vr: 'IS', Value: [stated] },
              },
            ],
      )(request, response);
    const own = source();
    const counts = () => asked.filter((one) => one.url.includes('/instances')).length;
    await own.recentStudies(1);
    const first = counts();
    await own.recentStudies(1);
    expect(counts()).toBe(first);
    stated = 2;
    await own.recentStudies(1);
    expect(counts()).toBe(first * 2);
  });

  it.each([
    ['200 with an empty body', json(200, ''), 'dicomweb.answer'],
    [
      '200 with a page of HTML',
      (_q: IncomingMessage, r: ServerResponse) => void r.end('<html>'),
      'dicomweb.answer',
    ],
    ['an object instead of a list', json(200, { a: 1 }), 'dicomweb.answer'],
    ['a list of other things', json(200, [1, null]), 'dicomweb.answer'],
    ['a row without a UID', json(200, [{}]), 'dicomweb.answer'],
    ['a row with a path for a UID', json(200, [instanceRow('../x')]), 'dicomweb.answer'],
    ['a multipart answer', multipart(Buffer.from('x')), 'dicomweb.answer'],
    ['401', json(401, ''), 'dicomweb.unauthorized'],
    ['413', json(413, ''), 'dicomweb.too-large'],
    ['503', json(503, ''), 'dicomweb.status'],
    [
      'a broken connection',
      (_q: IncomingMessage, r: ServerResponse) => void r.destroy(),
      'dicomweb.unreachable',
    ],
  ])('name %s', async (_what, behaviour, code) => {
    answer = behaviour;
    await expect(source().countInstances('1.2')).rejects.toMatchObject({ code });
  });

  it('are cut when the server is silent, and when it drips', async () => {
    answer = () => undefined;
    await expect(source({ silenceMs: 50 }).countInstances('1.2')).rejects.toMatchObject({
      code: 'dicomweb.timeout',
      retry: true,
    });
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/dicom+json' });
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    };
    await expect(source({ silenceMs: 1_000, queryMs: 200 }).metadata('1.2')).rejects.toMatchObject({
      code: 'dicomweb.timeout',
    });
  });

  it('refuse an answer larger than its limit', async () => {
    answer = (_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      const more = () => {
        while (response.write(chunk)) if (response.destroyed) return;
        response.once('drain', more);
      };
      more();
    };
    await expect(source().countInstances('1.2')).rejects.toMatchObject({ code: 'dicomweb.too-large' });
  });

  it('refuse metadata of another study inside the answer (T28)', async () => {
    answer = json(200, [instanceRow('1.2.1.1'), instanceRow('9.9.1', '9.9')]);
    await expect(source().metadata('1.2')).rejects.toMatchObject({ code: 'dicomweb.wrong-study' });
  });
});

describe('retrieval', () => {
  afterEach(async () => expect(await readdir(folder)).toEqual([]));

  it('asks for another transfer syntax after 406', async () => {
    answer = (request, response) =>
      request.headers.accept?.includes('transfer-syntax=*')
        ? multipart(...UIDS.map((uid) => file(uid)))(request, response)
        : json(406, '')(request, response);
    const fetched = await source().fetch('1.2', '1.2.1', UIDS);
    expect(asked.map((one) => one.accept.split('=').pop())).toEqual(['1.2.840.10008.1.2.1', '*']);
    await fetched.release();
    answer = json(406, '');
    await expect(source().fetch('1.2', '1.2.1', UIDS)).rejects.toMatchObject({
      code: 'dicomweb.not-acceptable',
    });
  });

  it.each([
    [
      'an instance of another study',
      [file('1.2.1.1'), dicomFile({ study: '9.9', series: '1.2.1', sop: '9.9.1' })],
      'dicomweb.wrong-study',
    ],
    [
      'an instance of another series',
      [dicomFile({ study: '1.2', series: '1.2.9', sop: '1.2.1.1' })],
      'dicomweb.wrong-study',
    ],
    ['the deflated syntax', [file('1.2.1.1', { transferSyntax: '1.2.840.10008.1.2.1.99' })], null],
    ['fewer instances than asked for', [file('1.2.1.1'), file('1.2.1.2')], 'dicomweb.incomplete'],
    [
      'the same instance again and again',
      [file('1.2.1.1'), file('1.2.1.1'), file('1.2.1.1')],
      'dicomweb.incomplete',
    ],
    ['something other than DICOM', [Buffer.from('<html>')], 'dicom.not-dicom'],
  ])('refuses %s as a whole', async (_what, files, code) => {
    answer = multipart(...files);
    await expect(source().fetch('1.2', '1.2.1', UIDS)).rejects.toMatchObject(
      code === null ? { name: 'Failure' } : { code },
    );
  });

  it('refuses an answer that breaks off', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'multipart/related; boundary=b' });
      response.end(Buffer.concat([Buffer.from('--b\r\n\r\n'), file('1.2.1.1')]));
    };
    await expect(source().fetch('1.2', '1.2.1', UIDS)).rejects.toMatchObject({ code: 'dicom.multipart' });
  });

  it('leaves out instances that were not asked for', async () => {
    answer = multipart(file('1.2.1.9'), ...UIDS.map((uid) => file(uid)), file('1.2.1.10'));
    const fetched = await source().fetch('1.2', '1.2.1', UIDS);
    expect(fetched.instances.map((instance) => instance.sopInstanceUid)).toEqual(UIDS);
    await fetched.release();
  });

  it('writes an instance as it comes when it is larger than what is held, wanted or not', async () => {
    const padding = Buffer.alloc(12 + 5 * 1024 * 1024, 0x20);
    padding.set([0xfc, 0xff, 0xfc, 0xff, 0x4f, 0x42, 0, 0]);
    padding.writeUInt32LE(padding.length - 12, 8);
    const large = (uid: string) => Buffer.concat([file(uid), padding]);
    answer = multipart(large('1.2.1.9'), large(UIDS[0]!), ...UIDS.slice(1).map((uid) => file(uid)));
    const fetched = await source().fetch('1.2', '1.2.1', UIDS);
    const [first] = fetched.instances;
    expect(await readFile(first!.path)).toEqual(large(UIDS[0]!));
    expect(await readFile(fetched.instances[1]!.path)).toEqual(file(UIDS[1]!));
    await fetched.release();
  });

  it('gives each instance when it is whole, and ends when nobody wants the rest', async () => {
    const more = Promise.withResolvers<void>();
    answer = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'multipart/related; boundary=b' });
      const part = (uid: string) =>
        Buffer.concat([Buffer.from('\r\n--b\r\n\r\n'), file(uid), Buffer.from('\r\n--b')]);
      response.write(part(UIDS[0]!));
      await more.promise;
      for (const uid of UIDS.slice(1))
        response.write(Buffer.concat([Buffer.from('\r\n\r\n'), file(uid), Buffer.from('\r\n--b')]));
      response.end('--');
    };
    const arriving = source().fetchEach('1.2', '1.2.1', UIDS);
    expect(await readFile((await arriving.paths[0])!)).toEqual(file(UIDS[0]!));
    const released = arriving.release();
    more.resolve();
    await released;
    await expect(arriving.paths[4]).rejects.toMatchObject({ code: 'dicomweb.incomplete' });
  });

  it('is cleared away after a crash, once it is old', async () => {
    answer = multipart(...UIDS.map((uid) => file(uid)));
    await source().fetch('1.2', '1.2.1', UIDS);
    expect(await sweepSpool(folder, 3_600_000)).toBe(0);
    expect(await sweepSpool(folder, 3_600_000, { now: () => new Date(Date.now() + 3_700_000) })).toBe(1);
  });
});

describe('storing', () => {
  const response = (stored: string[], failed: [string, number][]) => ({
    ...(stored.length > 0
      ? { '00081199': { vr: 'SQ', Value: stored.map((uid) => ({ '00081155': { vr: 'UI', Value: [uid] } })) } }
      : {}),
    ...(failed.length > 0
      ? {
          '00081198': {
            vr: 'SQ',
            Value: failed.map(([uid, reason]) => ({
              '00081155': { vr: 'UI', Value: [uid] },
              '00081197': { vr: 'US', Value: [reason] },
            })),
          },
        }
      : {}),
  });
  const two = [file('1.2.1.1'), file('1.2.1.2')];

  it('reads 202 and 409 instance by instance; already there is success', async () => {
    answer = json(202, response(['1.2.1.1'], [['1.2.1.2', 272]]));
    expect(await storeInstances(connection(), two)).toEqual({
      stored: ['1.2.1.1'],
      failed: [{ sopInstanceUid: '1.2.1.2', reason: 272 }],
    });
    answer = json(
      409,
      response(
        [],
        [
          ['1.2.1.1', 45_070],
          ['1.2.1.2', 43_264],
        ],
      ),
    );
    expect(await storeInstances(connection(), two)).toEqual({
      stored: ['1.2.1.1'],
      failed: [{ sopInstanceUid: '1.2.1.2', reason: 43_264 }],
    });
  });

  it('does not believe a 202 that leaves instances out, nor a 200 without a body', async () => {
    answer = json(202, response(['1.2.1.1'], []));
    await expect(storeInstances(connection(), two)).rejects.toMatchObject({ code: 'dicomweb.answer' });
    answer = json(200, '');
    await expect(storeInstances(connection(), two)).rejects.toMatchObject({ code: 'dicomweb.answer' });
    answer = json(503, '');
    await expect(storeInstances(connection(), two)).rejects.toMatchObject({
      code: 'dicomweb.status',
      retry: true,
    });
  });
});
