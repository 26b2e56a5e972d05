import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { element, encapsulated, imagePixel, part10 } from './fixtures/dicom-bytes.ts';
import { readInstanceHead } from './read-instance-head.ts';

const EXPLICIT = '1.2.840.10008.1.2.1';
const JPEG_LOSSLESS = '1.2.840.10008.1.2.4.70';
const PIXELS = element(0x7fe00010, 'OW', Buffer.alloc(3 * 1024 * 1024));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'head-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function written(file: Buffer): string {
  const path = join(folder, 'one.dcm');
  writeFileSync(path, file);
  return path;
}

/** A private element of so many bytes before the image pixel module, as some scanners write them. */
const withPrivate = (bytes: number, ...pixels: Buffer[]): Buffer =>
  part10(
    EXPLICIT,
    element(0x00080060, 'CS', 'MR'),
    element(0x00190010, 'LO', 'MAKER'),
    element(0x00191001, 'OB', Buffer.alloc(bytes)),
    ...imagePixel(8, 8, 16),
    ...pixels,
  );

test.each([0, 60_000, 65_500, 200_000, 1_048_500, 2_000_000])(
  'a header with a private element of %i bytes is read to its end, whatever is read of the file',
  async (bytes) => {
    const { dataset } = await readInstanceHead(written(withPrivate(bytes, PIXELS)));
    expect(dataset.string(0x00080060)).toBe('MR');
    expect(dataset.number(0x00280010)).toBe(8);
    expect(dataset.number(0x00280100)).toBe(16);
  },
);

test('a file without pixels is read whole', async () => {
  const { dataset, pixelData } = await readInstanceHead(written(withPrivate(200_000)));
  expect(dataset.number(0x00280010)).toBe(8);
  expect(pixelData).toBeNull();
});

test('encapsulated pixels behind the head do not matter', async () => {
  const file = part10(JPEG_LOSSLESS, ...imagePixel(8, 8, 16), encapsulated(Buffer.alloc(500_000)));
  expect((await readInstanceHead(written(file))).dataset.number(0x00280010)).toBe(8);
});

test('a file that ends inside its header is refused by name', async () => {
  const cut = withPrivate(300_000, PIXELS).subarray(0, 250_000);
  await expect(readInstanceHead(written(cut))).rejects.toMatchObject({ code: 'dicom.truncated' });
});
