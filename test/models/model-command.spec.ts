import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Evaluation } from '../../src/governance/evaluation/evaluation-report.ts';
import { freshDatabaseUrl } from '../database.ts';
import { tinyStudy } from '../flow/studies.ts';
import { makeTinyModel, TINY_MODEL } from '../flow/tiny-model.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/scripts/model.js');
const DATA = '../shared/data';
const CHEST = 'test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0';
const PYTHON = '/usr/bin/python3';

let folder: string;
let tiny: Awaited<ReturnType<typeof makeTinyModel>>;
let url: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'model-command-'));
  tiny = await makeTinyModel();
  // A URL needs a host beside a user; the socket folder in the query wins over it.
  url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  await writeFile(join(folder, 'image.dcm'), tinyStudy().files[0] ?? new Uint8Array());
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await tiny.remove();
});

const model = (...args: string[]) =>
  spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'] ?? '',
      DATABASE_URL: url,
      PRELIM_DATA: join(folder, 'data'),
    },
  });

describe.skipIf(!existsSync(PROGRAM))('npm run model', () => {
  it('without a command that it knows says which there are, and ends with 2', () => {
    expect(model('bless')).toMatchObject({ status: 2, stderr: expect.stringContaining('evaluate') });
  });

  it('what was named and is not there is said in words, and a package without its file says where it belongs', () => {
    expect(model('add')).toMatchObject({ status: 2, stderr: expect.stringContaining('name the folder') });
    const list = join(folder, 'nothing.csv');
    expect(model('evaluate', 'ct-lung-density', folder, list)).toMatchObject({
      status: 2,
      stderr: `${list}: there is no such file or folder\n`,
    });
  }, 60_000);

  it('a package under a folder of PRELIM_MODELS stays there, for a copy would be the same version twice', () => {
    const path = join(tiny.folder, TINY_MODEL, '1.0.0');
    const env = { PATH: process.env['PATH'] ?? '', DATABASE_URL: url, PRELIM_DATA: join(folder, 'data') };
    const added = spawnSync(process.execPath, [PROGRAM, 'add', path], {
      encoding: 'utf8',
      env: { ...env, PRELIM_MODELS: tiny.folder },
    });
    expect(added).toMatchObject({ status: 0, stdout: expect.stringContaining('stays where it is') });
    expect(existsSync(join(folder, 'data', 'models', TINY_MODEL))).toBe(false);
  }, 60_000);

  it('add takes a sound package in, once, and the list then has it with state, checksum and device UID', () => {
    const added = model('add', join(tiny.folder, TINY_MODEL, '1.0.0'));
    expect([added.status, added.stderr]).toEqual([0, '']);
    expect(added.stdout).toMatch(/operator sets ai\.onnx 17/);
    expect(added.stdout).toMatch(/dry run on zeros: image \[1,1,64,64\], score \[1,1\]/);
    expect(model('add', join(tiny.folder, TINY_MODEL, '1.0.0')).status).toBe(1);
    const { stdout } = model('list');
    expect(stdout).toMatch(/PILOT\s+tiny-mean@1\.0\.0/);
    expect(stdout).toMatch(/device UID 2\.25\.1122334455/);
    expect(stdout).toMatch(
      /ABSENT\s+torchxrayvision-densenet121@1\.0\.0\n\s+the file is not here; to get it: pip install/,
    );
  }, 60_000);

  it('run says what each stage made and saves its picture', async () => {
    const pictures = join(folder, 'pictures');
    const { status, stdout } = model('run', TINY_MODEL, join(folder, 'image.dcm'), '--pictures', pictures);
    expect(status).toBe(0);
    expect(stdout).toMatch(/gate\s+[\d.]+ ms {2}passed: 1 of them/);
    expect(stdout).toMatch(/2 scale\s+64 × 64|2 scale\s+\d+ × \d+/);
    expect(stdout).toMatch(/output score: \[1,1\] 0\.\d+/);
    expect(stdout).toMatch(/pneumothorax: indeterminate, score 0\.\d+ \(threshold 0\.9\)/);
    expect(await readdir(pictures)).toEqual(['00-decoded.png', '01-stored_values.png', '02-scale.png']);
  }, 60_000);

  it('run of a model that is not there names those that are', () => {
    expect(model('run', 'nobody', folder)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^model\.unknown: .*tiny-mean@1\.0\.0/),
    });
  }, 30_000);

  it('release to live is refused without golden cases, taken with the word for it, and kept with who and why', () => {
    const live = ['release', TINY_MODEL, 'live', '--by', 'Dr Who', '--reason', 'trial'];
    const refused = model(...live);
    expect([refused.status, refused.stdout]).toEqual([1, expect.stringContaining('NOT RELEASED')]);
    expect(model(...live, '--without-golden').status).toBe(0);
    expect(model('list').stdout).toMatch(
      /LIVE\s+tiny-mean@1\.0\.0.*\n\s+since .* by Dr Who \(released without golden cases, by explicit decision\)/,
    );
    expect(model('release', TINY_MODEL, 'live').status).toBe(2);
  }, 60_000);
});

const noData = !existsSync(`${DATA}/images/labels.csv`) || !existsSync(PROGRAM);
describe.skipIf(noData)(noData ? 'skipped: no shared data' : 'evaluate', () => {
  it.skipIf(!existsSync(PYTHON))(
    'gives for the shared images the numbers that numpy gives from reference outputs and labels alone',
    async () => {
      const out = join(folder, 'evaluation');
      const run = model('evaluate', CHEST, `${DATA}/images`, `${DATA}/images/labels.csv`, '--out', out);
      expect([run.status, run.stdout]).toEqual([
        0,
        expect.stringContaining('61 cases; without a score: age 16'),
      ]);
      const evaluation = JSON.parse(await readFile(join(out, 'evaluation.json'), 'utf8')) as Evaluation;
      const witness = JSON.parse(
        execFileSync(PYTHON, ['test/models/fixtures/check-evaluation.py', DATA], { encoding: 'utf8' }),
      ) as Record<string, Witness>;
      for (const [column, expected] of Object.entries(witness)) {
        const found = evaluation.findings.find(({ key }) => key.endsWith(column));
        const [point] = found?.points ?? [];
        expect(found, column).toMatchObject({ cases: expected.cases, positives: expected.positives });
        const { value = 0, low = 0, high = 0 } = found?.auc ?? {};
        for (const [i, bound] of [value, low, high].entries())
          expect(bound).toBeCloseTo(expected.auc[i] ?? -1, 6);
        expect(point?.sensitivity?.value).toBeCloseTo(expected.sensitivity, 9);
        expect(point?.specificity?.value).toBeCloseTo(expected.specificity, 9);
        expect(found?.calibration?.brier).toBeCloseTo(expected.brier, 5);
      }
      const html = await readFile(join(out, 'evaluation.html'), 'utf8');
      expect(html.match(/<svg /g)).toHaveLength(4);
      expect(html).not.toContain('00000001_000');
    },
    180_000,
  );
});

interface Witness {
  readonly cases: number;
  readonly positives: number;
  readonly auc: readonly number[];
  readonly sensitivity: number;
  readonly specificity: number;
  readonly brier: number;
}
