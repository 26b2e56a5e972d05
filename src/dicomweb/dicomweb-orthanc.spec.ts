import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Orthanc, orthancMissing, startOrthanc } from '../../test/peers/orthanc.ts';
import { readInstanceHead } from '../dicom/read-instance-head.ts';
import { readPart10 } from '../dicom/read-part10.ts';
import { dicomwebConnection } from './dicomweb-connection.ts';
import { DicomwebSource } from './dicomweb-source.ts';
import { storeInstances } from './stow.ts';

const DATA = '../shared/data/dicom';
const missing = orthancMissing() ?? (existsSync(DATA) ? null : 'skipped: no shared data');

describe.skipIf(missing !== null)(
  `DICOMweb client against Orthanc${missing === null ? '' : ` (${missing})`}`,
  () => {
    let orthanc: Orthanc;
    let folder: string;
    let source: DicomwebSource;
    const files = missing === null ? filesOf('ct-series-head-philips') : [];

    beforeAll(async () => {
      orthanc = await startOrthanc({ user: 'prelim', password: 'pässword' });
      folder = await mkdtemp(join(tmpdir(), 'spool-'));
      source = new DicomwebSource(connection(), folder);
    });
    afterAll(async () => {
      await orthanc?.stop();
      await rm(folder, { recursive: true, force: true });
    });
    const connection = () => dicomwebConnection(orthanc.root, { user: 'prelim', password: 'pässword' });

    it('stores a series, and storing it again is success', async () => {
      const first = files.slice(0, -2);
      expect(await storeInstances(connection(), first)).toMatchObject({
        failed: [],
        stored: { length: first.length },
      });
      expect(await storeInstances(connection(), first)).toMatchObject({
        failed: [],
        stored: { length: first.length },
      });
    });

    it('counts the instances, and counts again when late ones arrive', async () => {
      const { study } = await uidsOf(files[0]!);
      expect(await source.countInstances(study)).toBe(files.length - 2);
      await storeInstances(connection(), files.slice(-2));
      expect(await source.countInstances(study)).toBe(files.length);
      expect(await source.countInstances('1.2.3.4')).toBe(0);
    });

    it('gives metadata of every instance without pixels', async () => {
      const { study } = await uidsOf(files[0]!);
      const metadata = await source.metadata(study);
      expect(new Set(metadata.map((row) => row['00080018']?.Value?.[0])).size).toBe(files.length);
      expect(metadata.every((row) => row['7FE00010']?.Value === undefined)).toBe(true);
    });

    it('fetches a series in the order asked for with the same pixel bytes, and leaves nothing behind', async () => {
      const { study, series } = await uidsOf(files[0]!);
      const uids = (await Promise.all(files.map(uidsOf))).map((uid) => uid.sop).reverse();
      const fetched = await source.fetch(study, series, uids);
      expect(fetched.instances.map((instance) => instance.sopInstanceUid)).toEqual(uids);
      const original = new Map(files.map((file) => [sopOf(file), pixels(file)]));
      for (const instance of fetched.instances) {
        expect(pixels(readFileSync(instance.path)).equals(original.get(instance.sopInstanceUid)!)).toBe(true);
        expect((await readInstanceHead(instance.path)).transferSyntaxUid).toBe('1.2.840.10008.1.2.1');
      }
      await fetched.release();
      expect(await readdir(folder)).toEqual([]);
    });

    it('fetches single instances one by one, and fails as a whole when one is not there', async () => {
      const { study, series, sop } = await uidsOf(files[3]!);
      const fetched = await source.fetch(study, series, [sop]);
      expect(pixels(readFileSync(fetched.instances[0]!.path)).equals(pixels(files[3]!))).toBe(true);
      await fetched.release();
      await expect(source.fetch(study, series, [sop, '1.2.3.4'])).rejects.toMatchObject({
        code: 'dicomweb.not-found',
      });
      await expect(source.fetch(study, series, [sop, '1', '2', '3', '4', '5'])).rejects.toMatchObject({
        code: 'dicomweb.incomplete',
      });
      expect(await readdir(folder)).toEqual([]);
    });

    it('sees recent studies with counted instances', async () => {
      const { study } = await uidsOf(files[0]!);
      const hours = (Date.now() - Date.UTC(1990, 0, 1)) / 3_600_000;
      expect(await source.recentStudies(hours)).toContainEqual({
        studyInstanceUid: study,
        numberOfInstances: files.length,
        identity: expect.stringMatching(/^[\w-]{43}$/),
      });
      expect(await source.recentStudies(1)).toEqual([]);
    });

    it('names refused credentials', async () => {
      const wrong = new DicomwebSource(
        dicomwebConnection(orthanc.root, { user: 'prelim', password: 'x' }),
        folder,
      );
      await expect(wrong.countInstances('1.2.3')).rejects.toMatchObject({ code: 'dicomweb.unauthorized' });
      await expect(storeInstances(dicomwebConnection(orthanc.root), files.slice(0, 1))).rejects.toMatchObject(
        { code: 'dicomweb.unauthorized' },
      );
    });

    it('names a request that the PACS does not understand', async () => {
      await expect(storeInstances(connection(), [Buffer.from('not DICOM')])).rejects.toMatchObject({
        code: 'dicomweb.status',
        retry: false,
      });
    });
  },
);

function filesOf(folder: string): Buffer[] {
  return readdirSync(join(DATA, folder))
    .sort()
    .map((name) => readFileSync(join(DATA, folder, name)));
}

function sopOf(file: Buffer): string {
  return readPart10(file).dataset.string(0x00080018) ?? '';
}

async function uidsOf(file: Buffer) {
  const { dataset } = readPart10(file);
  return {
    study: dataset.string(0x0020000d) ?? '',
    series: dataset.string(0x0020000e) ?? '',
    sop: dataset.string(0x00080018) ?? '',
  };
}

function pixels(file: Buffer): Buffer {
  const { pixelData } = readPart10(file);
  if (pixelData?.kind !== 'native') throw new Error('the test file has no native pixels');
  return pixelData.source.subarray(pixelData.offset, pixelData.offset + pixelData.length);
}
