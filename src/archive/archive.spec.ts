import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ArchiveServer, startArchive } from '../../test/peers/archive-server.ts';
import { dicomFile } from '../../test/peers/dicom-file.ts';
import { jsonString, jsonStrings } from '../dicom/json-values.ts';
import { multipartBoundary, readMultipart } from '../dicom/read-multipart.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { dicomwebConnection } from '../dicomweb/dicomweb-connection.ts';
import { DicomwebSource } from '../dicomweb/dicomweb-source.ts';
import { storeInstances } from '../dicomweb/stow.ts';
import { ArchiveSource } from './archive-source.ts';

/** Two studies: A with a CT series of 3 and a DX series of 1, B with one DX instance. */
const STUDY_A = [
  ['00080020', 'DA', '20260110'],
  ['00080050', 'SH', 'ACC_1'],
  ['00100010', 'PN', 'Meyer^Änne'],
  ['00100020', 'LO', 'P-1'],
] as const;
const STUDY_B = [
  ['00080020', 'DA', '20260220'],
  ['00080050', 'SH', 'ACC21'],
  ['00100010', 'PN', 'Mayer^Otto'],
  ['00100020', 'LO', 'P-2'],
] as const;
const FILES = [
  ...[1, 2, 10].map((n) =>
    dicomFile({
      study: '5.1',
      series: '5.1.1',
      sop: `5.1.1.${n}`,
      elements: [...STUDY_A, ['00080060', 'CS', 'CT'], ['00200013', 'IS', String(n)]],
      pixels: Buffer.alloc(2_000_000, n),
    }),
  ),
  dicomFile({
    study: '5.1',
    series: '5.1.2',
    sop: '5.1.2.1',
    elements: [...STUDY_A, ['00080060', 'CS', 'DX'], ['00180015', 'CS', 'CHEST']],
  }),
  dicomFile({
    study: '5.2',
    series: '5.2.1',
    sop: '5.2.1.1',
    elements: [...STUDY_B, ['00080060', 'CS', 'DX'], ['00081030', 'LO', '100% sure']],
  }),
];

let server: ArchiveServer;
beforeAll(async () => {
  server = await startArchive();
  expect((await storeInstances(dicomwebConnection(new URL(server.root)), FILES)).failed).toEqual([]);
});
afterAll(() => server?.stop());

const get = (path: string, accept?: string) =>
  fetch(server.root + path, { headers: accept === undefined ? {} : { accept } });
async function uids(path: string, tag: string): Promise<string[]> {
  const answer = await get(path, 'application/dicom+json');
  if (answer.status === 204) return [];
  expect(answer.status, path).toBe(200);
  return ((await answer.json()) as DicomJson[]).map((row) => jsonString(row, tag) ?? '');
}

describe('QIDO-RS', () => {
  it.each([
    ['', ['5.2', '5.1']],
    ['?PatientID=P-1', ['5.1']],
    ['?00100020=P-*', ['5.2', '5.1']],
    ['?PatientName=meyer*', ['5.1']],
    ['?PatientName=M?yer*', ['5.2', '5.1']],
    ['?AccessionNumber=ACC_1', ['5.1']],
    ['?AccessionNumber=ACC_*', ['5.1']],
    ['?AccessionNumber=acc_1', []],
    ['?StudyDescription=100%25*', ['5.2']],
    ['?StudyDescription=%25*', []],
    ['?StudyDate=20260110', ['5.1']],
    ['?StudyDate=20260111-', ['5.2']],
    ['?StudyDate=-20260131', ['5.1']],
    ['?StudyDate=20260101-20261231', ['5.2', '5.1']],
    ['?StudyInstanceUID=5.1,5.2,5.3', ['5.2', '5.1']],
    ['?ModalitiesInStudy=CT', ['5.1']],
    ['?00080061=DX&PatientID=P-1', ['5.1']],
    ['?limit=1', ['5.2']],
    ['?limit=1&offset=1', ['5.1']],
    ['?offset=2', []],
    ["?PatientID=' OR 1=1 --", []],
    ['?PatientID=', ['5.2', '5.1']],
  ])('finds studies by %s', async (query, expected) => {
    expect(await uids(`/studies${query}`, '0020000D')).toEqual(expected);
  });

  it('counts series and instances and says where they are', async () => {
    const [row] = (await (await get('/studies?PatientID=P-1')).json()) as [DicomJson];
    expect(row).toMatchObject({
      '00201206': { Value: [2] },
      '00201208': { Value: [4] },
      '00080061': { Value: ['CT', 'DX'] },
    });
    expect(jsonString(row, '00081190')).toBe(`${server.get(ArchiveSource).endpoint}/studies/5.1`);
  });

  it('finds series and instances, below a study and across studies', async () => {
    expect(await uids('/studies/5.1/series', '0020000E')).toEqual(['5.1.1', '5.1.2']);
    expect(await uids('/series?Modality=DX', '0020000E')).toEqual(['5.2.1', '5.1.2']);
    expect(await uids('/studies/5.1/series?BodyPartExamined=CHEST', '0020000E')).toEqual(['5.1.2']);
    expect(await uids('/studies/5.1/series/5.1.1/instances', '00080018')).toEqual([
      '5.1.1.1',
      '5.1.1.2',
      '5.1.1.10',
    ]);
    expect(await uids('/studies/5.1/instances?InstanceNumber=2', '00080018')).toEqual(['5.1.1.2']);
    expect(await uids('/instances?SOPInstanceUID=5.2.1.1', '00080018')).toEqual(['5.2.1.1']);
    expect(await uids('/studies/5.9/instances', '00080018')).toEqual([]);
  });

  it('gives attributes asked for and no bulk data', async () => {
    const [row] = (await (
      await get('/studies/5.1/instances?includefield=0020000D,00020010&includefield=all&limit=1')
    ).json()) as [DicomJson];
    expect(row['7FE00010']).toBeUndefined();
    expect(jsonString(row, '0020000D')).toBe('5.1');
    const [study] = (await (await get('/studies?includefield=00080060&PatientID=P-2')).json()) as [DicomJson];
    expect(jsonStrings(study, '00080060')).toEqual(['DX']);
  });

  it('warns of parameters that it does not use', async () => {
    const answer = await get('/studies?Manufacturer=x&fuzzymatching=true');
    expect(answer.headers.get('warning')).toMatch(/^299 .*Manufacturer, fuzzymatching/);
  });

  it.each([
    '?limit=-1',
    '?limit=x',
    '?offset=1e3',
    '?StudyDate=yesterday',
    '?StudyInstanceUID=1.2%2F..',
    '?PatientID=a&PatientID=b',
    `?PatientID=${'x'.repeat(4_097)}`,
    '?PatientID=%00',
  ])('refuses %s', async (query) => expect((await get(`/studies${query}`)).status).toBe(400));

  it('answers 406 to clients that take no JSON', async () => {
    expect((await get('/studies', 'application/dicom+xml')).status).toBe(406);
  });
});

describe('WADO-RS', () => {
  it('gives a study, a series or an instance byte for byte', async () => {
    expect(await parts('/studies/5.1')).toHaveLength(4);
    const series = await parts(
      '/studies/5.1/series/5.1.1',
      'multipart/related; type="application/dicom"; transfer-syntax=*',
    );
    expect(series.map((part, at) => part.equals(FILES[at]!))).toEqual([true, true, true]);
    const [one] = await parts(
      '/studies/5.1/series/5.1.2/instances/5.1.2.1',
      'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1',
    );
    expect(one?.equals(FILES[3]!)).toBe(true);
  });

  it('gives one instance as a bare file to who asks for that', async () => {
    const answer = await get('/studies/5.2/series/5.2.1/instances/5.2.1.1', 'application/dicom');
    expect(answer.headers.get('content-type')).toBe('application/dicom; transfer-syntax=1.2.840.10008.1.2.1');
    expect(Buffer.from(await answer.arrayBuffer()).equals(FILES[4]!)).toBe(true);
  });

  it.each([
    ['/studies/5.1', 'application/dicom', 406],
    ['/studies/5.1', 'multipart/related; type="image/jpeg"', 406],
    [
      '/studies/5.1',
      'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90',
      406,
    ],
    ['/studies/5.1', 'application/dicom+json;q=0', 406],
    ['/studies/5.1/metadata', 'multipart/related; type="application/dicom+xml"', 406],
    ['/studies/5.9', '*/*', 404],
    ['/studies/5.1/series/5.2.1', '*/*', 404],
    ['/studies/5.9/metadata', '*/*', 404],
    ['/studies/..%2F..%2Fetc', '*/*', 400],
    ['/studies/5.1/series/5.1.1/instances/1.2%3Fx=', '*/*', 400],
  ])('answers %s with Accept %s with %i', async (path, accept, status) => {
    expect((await get(path, accept)).status).toBe(status);
  });

  it('gives metadata of every instance as DICOM JSON without bulk data', async () => {
    const answer = await get('/studies/5.1/metadata', 'application/dicom+json');
    expect(answer.headers.get('content-type')).toMatch(/^application\/dicom\+json/);
    const rows = (await answer.json()) as DicomJson[];
    expect(rows.map((row) => jsonString(row, '00080018'))).toEqual([
      '5.1.1.1',
      '5.1.1.2',
      '5.1.1.10',
      '5.1.2.1',
    ]);
    expect(rows.every((row) => row['7FE00010'] === undefined)).toBe(true);
    expect((await (await get('/studies/5.1/series/5.1.2/metadata')).json()) as DicomJson[]).toHaveLength(1);
  });
});

describe('archive source', () => {
  it('gives counts, metadata and the files where they lie', async () => {
    const source = server.get(ArchiveSource);
    expect(await source.recentStudies(1)).toEqual(
      expect.arrayContaining([{ studyInstanceUid: '5.1', numberOfInstances: 4 }]),
    );
    expect(await source.countInstances('5.1')).toBe(4);
    expect(await source.countInstances('5.9')).toBe(0);
    expect(await source.metadata('5.1')).toHaveLength(4);
    const fetched = await source.fetch('5.1', '5.1.1', ['5.1.1.10', '5.1.1.1']);
    expect((await readFile(fetched.instances[0]!.path)).equals(FILES[2]!)).toBe(true);
    expect(fetched.instances[1]!.path.startsWith(server.folder)).toBe(true);
    await fetched.release();
    expect((await readFile(fetched.instances[0]!.path)).length).toBe(FILES[2]!.length);
    await expect(source.fetch('5.1', '5.1.1', ['5.2.1.1'])).rejects.toMatchObject({
      code: 'archive.not-found',
    });
  });

  it('speaks DICOMweb well enough for our own client', async () => {
    const source = new DicomwebSource(dicomwebConnection(new URL(server.root)), `${server.folder}/../spool`);
    expect(await source.countInstances('5.1')).toBe(4);
    expect(await source.metadata('5.2')).toHaveLength(1);
    const fetched = await source.fetch('5.1', '5.1.1', ['5.1.1.2']);
    expect((await readFile(fetched.instances[0]!.path)).equals(FILES[1]!)).toBe(true);
    await fetched.release();
  });
});

async function parts(path: string, accept?: string): Promise<Buffer[]> {
  const answer = await get(path, accept);
  expect(answer.status).toBe(200);
  const whole = Buffer.from(await answer.arrayBuffer());
  expect(whole.length).toBe(Number(answer.headers.get('content-length')));
  const boundary = multipartBoundary(answer.headers.get('content-type') ?? '');
  async function* source() {
    yield whole;
  }
  const found: Buffer[] = [];
  for await (const part of readMultipart(source(), boundary, {
    partsMax: 100,
    partBytesMax: 1e8,
    bodyBytesMax: 1e9,
  })) {
    expect(part.headers['content-type']).toMatch(/^application\/dicom; transfer-syntax=/);
    const chunks: Buffer[] = [];
    for await (const chunk of part.body) chunks.push(chunk);
    found.push(Buffer.concat(chunks));
  }
  return found;
}
