import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { dciodvfy, dciodvfyMissing } from '../peers/dicom-validators.ts';
import { freePort } from '../peers/free-port.ts';
import { type Orthanc, orthancMissing, startOrthanc } from '../peers/orthanc.ts';
import { describeWithPeer } from '../peers/required.ts';
import { filesOf, type Pacs, seriesOf } from './pacs-objects.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/demo/main.js');
/** As they are told of the study that fits. */
const STAGES = [
  'order filed',
  'study available',
  'subscription fired',
  'gate passed',
  'model ran',
  'findings coded',
  'report written',
  'ORU written',
  'ORU acknowledged',
  'SR, SEG made',
  'stored in PACS',
];
const notBuilt = existsSync(PROGRAM) ? null : 'skipped: not built';

describeWithPeer(
  'npm run demo, with an Orthanc as its PACS',
  orthancMissing() ?? dciodvfyMissing() ?? notBuilt,
  () => {
    let orthanc: Orthanc;
    let folder: string;
    let pacs: Pacs;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'demo-'));
      orthanc = await startOrthanc();
      pacs = { root: orthanc.root.href.replace(/\/$/, ''), headers: {} };
    }, 60_000);
    afterAll(async () => {
      await orthanc?.stop();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    it('ends with the chest CT, its SR, its SEG and its picture in Orthanc; the head CT has none', async () => {
      const { code, said } = await demo({
        DICOMWEB_URL: orthanc.root.href,
        DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
        PRELIM_DATA: join(folder, 'data'),
        PORT: String(await freePort()),
      });
      expect(code, said.slice(-2_000)).toBe(0);
      for (const stage of STAGES) expect(said).toContain(stage);
      const { studies } = JSON.parse(await readFile(join(folder, 'demo.json'), 'utf8')) as {
        studies: { studyInstanceUid: string; analyses: { status: string }[] }[];
      };
      const [chest, head] = studies;
      expect(studies.map((study) => study.analyses.map(({ status }) => status))).toEqual([
        ['completed'],
        ['rejected'],
      ]);
      const series = await seriesOf(pacs, chest!.studyInstanceUid);
      expect(series.map(({ modality, instances }) => [modality, instances])).toEqual([
        ['CT', 120],
        ['OT', 1],
        ['SEG', 1],
        ['SR', 1],
      ]);
      for (const { uid } of series.slice(1)) {
        const [file] = await filesOf(pacs, chest!.studyInstanceUid, uid);
        expect(dciodvfy(file!).errors).toEqual([]);
      }
      expect((await seriesOf(pacs, head!.studyInstanceUid)).map(({ modality }) => modality)).toEqual(['CT']);
    }, 240_000);

    function demo(
      settings: Readonly<Record<string, string>>,
    ): Promise<{ code: number | null; said: string }> {
      const child = spawn(process.execPath, [PROGRAM, '--exit', '--json', join(folder, 'demo.json')], {
        env: { PATH: process.env['PATH'] ?? '', ...settings },
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => {
          said += chunk;
        });
      return new Promise((resolve) => child.once('exit', (code) => resolve({ code, said })));
    }
  },
);
