import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { element } from '../../src/dicom/fixtures/dicom-bytes.ts';
import { image, nulPadded } from '../../src/dicom/fixtures/identified-dataset.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/scripts/model.js');

let folder: string;
const study = () => join(folder, 'study');
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deidentify-command-'));
  await mkdir(join(study(), 'SMITH'), { recursive: true });
  const file = (name: string, ...more: Buffer[]) =>
    writeFile(
      join(study(), 'SMITH', name),
      image([element(0x00100010, 'PN', 'SMITH^JOHN'), element(0x00100020, 'LO', 'MRN-4711-Q'), ...more])
        .dataset.bytes,
    );
  for (const n of [1, 2, 3]) await file(`SMITH_${n}.dcm`, element(0x00080018, 'UI', nulPadded(`1.2.3.${n}`)));
  await file('SMITH_4.dcm', element(0x00280301, 'CS', 'YES'));
  await file('SMITH_5.dcm', element(0x00080018, 'UI', nulPadded('1.2.3.1')));
  await writeFile(join(study(), 'SMITH', 'SMITH_6.txt'), 'no DICOM');
});
afterAll(() => rm(folder, { recursive: true }));

const model = (...args: string[]) =>
  spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', PRELIM_DATA: join(folder, 'data') },
  });

async function written(out: string) {
  const entries = await readdir(out, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
}

describe.skipIf(!existsSync(PROGRAM))('npm run model -- deidentify', () => {
  it('writes what may leave, and names what may not by its number and reason, never by its name', async () => {
    const { status, stdout, stderr } = model('deidentify', study(), join(folder, 'out'));
    expect(stderr).toBe('');
    expect(status).toBe(1);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^file 4: .*text burned into the pixels/),
      'file 5: a second file of one SOPInstanceUID',
      expect.stringMatching(/^file 6: dicom\.not-dicom/),
      '6 files: 3 de-identified, 3 left out',
      '',
    ]);
    const files = await written(join(folder, 'out'));
    expect(files).toHaveLength(3);
    for (const { path, bytes } of files) {
      expect(`${path.slice(folder.length)}${bytes.toString('latin1')}`).not.toMatch(/SMITH|MRN-4711/);
      const { dataset } = readPart10(bytes);
      expect(
        path.endsWith(
          join(
            dataset.string(0x0020000d) ?? '',
            dataset.string(0x0020000e) ?? '',
            `${dataset.string(0x00080018)}.dcm`,
          ),
        ),
      ).toBe(true);
    }
    expect(stdout).not.toContain('SMITH');
    expect((await stat(join(folder, 'data', 'keys', 'deidentification-key'))).mode & 0o777).toBe(0o600);
  }, 60_000);

  it('writes the same names again, and others with --new-key; what was sent before still comes back', async () => {
    const [clean, before] = [join(study(), 'SMITH', 'clean'), join(folder, 'out')];
    await mkdir(clean);
    for (const n of [1, 2, 3])
      await writeFile(join(clean, `${n}.dcm`), await readFile(join(study(), 'SMITH', `SMITH_${n}.dcm`)));
    expect(
      model('deidentify', clean, join(folder, 'again'), '--option', 'retain-patient-characteristics').status,
    ).toBe(0);
    const names = async (out: string) =>
      (await written(join(folder, out))).map(({ path }) => path.slice(join(folder, out).length));
    expect(await names('again')).toEqual(await names('out'));
    expect(model('deidentify', clean, join(folder, 'new'), '--new-key').status).toBe(0);
    const old = new Set(await names('out'));
    expect((await names('new')).filter((name) => old.has(name))).toEqual([]);
    const back = model('reidentify', before, clean, join(folder, 'back'));
    expect([back.status, back.stdout]).toEqual([0, '3 files: 3 belong to the originals, 0 left out\n']);
    const restored = await written(join(folder, 'back'));
    expect(restored.map(({ path }) => path.slice(join(folder, 'back').length + 1))).toEqual([
      '1.2.3.1.dcm',
      '1.2.3.2.dcm',
      '1.2.3.3.dcm',
    ]);
    expect(readPart10(restored[0]?.bytes ?? Buffer.alloc(0)).dataset.string(0x00100010)).toBe('SMITH^JOHN');
  }, 90_000);

  it.each([
    ['an option that is none', ['--option', 'retain-everything']],
    ['a folder within the other', []],
  ])(
    'refuses %s and writes nothing',
    async (what, more) => {
      const out = what.startsWith('a folder') ? join(study(), 'out') : join(folder, 'nowhere');
      const { status, stderr } = model('deidentify', study(), out, ...more);
      expect([status, existsSync(out)]).toEqual([2, false]);
      expect(stderr).toMatch(/there is no such option; there are retain-uids|one in the other/);
    },
    30_000,
  );
});
