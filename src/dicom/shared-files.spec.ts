import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../../test/peers/required.ts';
import { type DecodedPixels, decodePixels } from './decode-pixels.ts';
import { hasSharedData, outcomeOf, sharedFile, sharedFiles, sharedTitle } from './fixtures/dicom-bytes.ts';
import { PixelWorkers } from './pixel-workers.ts';
import { readPart10 } from './read-part10.ts';
import { findTransferSyntax, TRANSFER_SYNTAXES } from './transfer-syntax.ts';

/**
 * Every DICOM file of the shared folder, one row each in `fixtures/shared-outcomes.tsv`: what its pixels become, or why they are
 * refused. Where another program decodes the same file, its values must be the same ones.
 */
interface Row {
  readonly path: string;
  readonly outcome: string;
  readonly transferSyntaxUid: string;
  readonly shape: string;
  readonly digest: string;
  /** Why it is refused, or the witnesses again. */
  readonly remark: string;
  readonly witnesses: readonly string[];
}

const ROWS: readonly Row[] = readFileSync('src/dicom/fixtures/shared-outcomes.tsv', 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => {
    const cells = line.split('\t');
    const [path = '', outcome = '', transferSyntaxUid = ''] = cells;
    const decoded = outcome === 'ok';
    return {
      path,
      outcome,
      transferSyntaxUid,
      shape: cells.slice(3, 10).join(' '),
      digest: cells[10] ?? '',
      remark: cells[11] ?? '',
      witnesses: decoded ? (cells[11] ?? '').split(' ').filter((name) => name !== 'none') : [],
    };
  });

const decode = (file: Buffer): Promise<DecodedPixels> => decodePixels(readPart10(file));
const bytesOf = ({ values }: DecodedPixels) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe('the table of shared files', () => {
  it.skipIf(!hasSharedData)(sharedTitle('has a row for each file and no other'), () => {
    expect(ROWS.map(({ path }) => path).sort()).toEqual(sharedFiles());
  });

  it('says of each refused file why, and has a file for every kind of packing that is decoded', () => {
    for (const { outcome, remark } of ROWS) if (outcome !== 'ok') expect(remark.length).toBeGreaterThan(5);
    const kinds = new Set(ROWS.map((row) => findTransferSyntax(row.transferSyntaxUid)?.packing));
    for (const { packing } of TRANSFER_SYNTAXES) expect(kinds).toContain(packing);
  });
});

describe.skipIf(!hasSharedData)(sharedTitle('every shared file'), () => {
  it.each(ROWS.filter(({ outcome }) => outcome === 'ok'))(
    '$path becomes the values of the table',
    async (row) => {
      const part10 = readPart10(sharedFile(row.path));
      const decoded = await decodePixels(part10);
      const { rows, columns, samplesPerPixel, frames, values, bitsStored } = decoded;
      const kind = values.constructor.name.replace('Array', '').toLowerCase();
      const shape = [
        rows,
        columns,
        samplesPerPixel,
        frames,
        kind,
        bitsStored,
        decoded.photometricInterpretation,
      ];
      expect(shape.join(' ')).toBe(row.shape);
      expect(part10.transferSyntaxUid).toBe(row.transferSyntaxUid);
      expect(createHash('sha256').update(bytesOf(decoded)).digest('hex')).toMatch(
        new RegExp(`^${row.digest}`),
      );
    },
  );

  it.each(ROWS.filter(({ outcome }) => outcome !== 'ok'))('$path is refused as $outcome', async (row) => {
    expect(await outcomeOf(() => decode(sharedFile(row.path)))).toBe(row.outcome);
  });

  it('is done in worker threads many times over without one lost, late, or kept in memory', async () => {
    const workers = new PixelWorkers({ size: 2 });
    const module = new URL('./fixtures/worker-tasks.ts', import.meta.url);
    const odd = ROWS.filter(({ path }) => path.startsWith('odd/') || path.startsWith('mr-small/'));
    const round = () =>
      Promise.all(
        odd.map(({ path, outcome }) =>
          outcomeOf(() =>
            workers.run(module, 'decodeFile', `../shared/data/dicom/${path}`, { timeoutMs: 10_000 }),
          ).then((found) => expect(`${path} ${found}`).toBe(`${path} ${outcome}`)),
        ),
      );
    try {
      for (let warm = 0; warm < 5; warm += 1) await round();
      const before = process.memoryUsage().rss;
      for (let turn = 0; turn < 20; turn += 1) await round();
      expect(process.memoryUsage().rss - before).toBeLessThan(LEAK_BYTES_MAX);
    } finally {
      await workers.close();
    }
  });
});

/** Twenty rounds of 27 files hold 200 MB of pixels; kept, they would be seen. */
const LEAK_BYTES_MAX = 100 * 2 ** 20;

/** The command that writes the file uncompressed, by another program. */
const COMMANDS: Record<string, (from: string, to: string) => string[]> = {
  gdcmconv: (from, to) => ['--raw', from, to],
  dcmdjpeg: (from, to) => ['+px', from, to],
  dcmdjpls: (from, to) => [from, to],
  dcmdrle: (from, to) => [from, to],
  dcmconv: (from, to) => ['+ti', from, to],
};

for (const [name, argumentsOf] of Object.entries(COMMANDS)) {
  const missing = !hasSharedData
    ? 'skipped: no shared data'
    : spawnSync(name, ['--version']).error
      ? `skipped: no ${name}`
      : null;
  describeWithPeer(`${name} sees the same values in`, missing, () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'prelim-witness-'));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it.each(ROWS.filter(({ witnesses }) => witnesses.includes(name)))('$path', async ({ path }) => {
      const target = join(folder, 'native.dcm');
      rmSync(target, { force: true });
      spawnSync(name, argumentsOf(`../shared/data/dicom/${path}`, target));
      expect(existsSync(target)).toBe(true);
      const expected = await decode(readFileSync(target));
      const found = await decode(sharedFile(path));
      expect(found.values.length).toBe(expected.values.length);
      expect(bytesOf(found).equals(bytesOf(expected))).toBe(true);
    });
  });
}
