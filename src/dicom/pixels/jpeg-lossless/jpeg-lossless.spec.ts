import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../../../../test/peers/required.ts';
import { Failure } from '../../../kernel/errors.ts';
import { decodePixels } from '../../decode-pixels.ts';
import { element, imagePixel, part10 } from '../../fixtures/dicom-bytes.ts';
import { encodeLossless, type LosslessPicture, numbers, picture } from '../../fixtures/encode-lossless.ts';
import { readPart10 } from '../../read-part10.ts';
import { jpegHeader } from '../codestream-header.ts';
import { decodeJpegLossless } from '../jpeg-lossless.ts';

type Outcome = number[] | string;

/** What the compiled program, and what the plain code alone makes of it: samples or the code of the refusal. */
function outcomes(bytes: Uint8Array): [Outcome, Outcome] {
  const run = (plain: boolean): Outcome => {
    try {
      const header = jpegHeader(bytes);
      return Array.from(decodeJpegLossless(bytes, header, ...(plain ? [() => null] : [])).samples);
    } catch (error) {
      return error instanceof Failure ? error.code : String(error);
    }
  };
  return [run(false), run(true)];
}

const PICTURE: LosslessPicture = {
  ...{ width: 37, height: 23, components: 1, precision: 12, predictor: 1, low: 0 },
  ...{ restartLines: 0, interleaved: true, codes: 'short' },
};
const expectExact = (changes: Partial<LosslessPicture>) => {
  const made = { ...PICTURE, ...changes };
  for (const kind of ['noise', 'waves'] as const) {
    const samples = picture(made, kind);
    const [compiled, plain] = outcomes(encodeLossless(made, samples));
    expect(compiled).toEqual(samples);
    expect(plain).toEqual(samples);
  }
};

describe('Lossless JPEG gives back every value', () => {
  it.each([1, 2, 3, 4, 5, 6, 7])(
    'with predictor %i, of any precision, with codes short and long',
    (predictor) => {
      for (const precision of [2, 8, 9, 12, 15, 16]) {
        for (const codes of ['short', 'long'] as const) expectExact({ predictor, precision, codes });
      }
    },
  );

  it.each([
    [1, 1],
    [1, 9],
    [200, 1],
    [3, 65],
    [31, 2],
  ])('of %i × %i pixels', (width, height) => {
    for (const predictor of [1, 4, 7]) expectExact({ width, height, predictor });
  });

  it.each([1, 5, 23])('with a restart after every %i lines', (restartLines) => {
    for (const predictor of [1, 6]) expectExact({ restartLines, predictor });
    expectExact({ restartLines, components: 3, precision: 8 });
  });

  it('of several components, in one scan or one each, with a point transform', () => {
    for (const components of [2, 3, 4]) {
      for (const interleaved of [true, false]) {
        for (const predictor of [1, 7]) expectExact({ components, interleaved, predictor, precision: 8 });
        expectExact({ components, interleaved, precision: 16, low: 3 });
      }
    }
    expectExact({ low: 4 });
  });

  it('of a small frame after a large one', () => {
    expectExact({ width: 300, height: 200, precision: 16 });
    expectExact({});
  });
});

describe('Damaged lossless JPEG', () => {
  it('is refused or decoded as the plain code alone does it', () => {
    const random = numbers(11);
    let refused = 0;
    for (const changes of [{}, { restartLines: 4 }, { components: 3, precision: 8 }, { predictor: 5 }]) {
      const made = { ...PICTURE, ...changes };
      const whole = encodeLossless(made, picture(made, 'waves'));
      for (let turn = 0; turn < 150; turn += 1) {
        const bytes = Buffer.from(whole);
        for (let change = 0; change <= turn % 3; change += 1)
          bytes[2 + random(bytes.length - 2)] = random(256);
        const [compiled, plain] = outcomes(turn % 5 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
        expect(compiled).toEqual(plain);
        if (typeof compiled === 'string') refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  it('whose end is missing is refused, however little; the marker at the end may be', () => {
    const samples = picture(PICTURE, 'waves');
    const whole = encodeLossless(PICTURE, samples);
    for (const cut of [10, 40, 90, 400]) {
      const found = outcomes(whole.subarray(0, whole.length - cut));
      expect(found).toEqual(['dicom.codestream', 'dicom.codestream']);
    }
    expect(outcomes(whole.subarray(0, whole.length - 2))).toEqual([samples, samples]);
  });

  it('never shows what was decoded before it', () => {
    outcomes(encodeLossless(PICTURE, picture(PICTURE, 'noise')));
    const colour = { ...PICTURE, components: 2, interleaved: false, precision: 8 };
    const bytes = Buffer.from(encodeLossless(colour, picture(colour, 'waves')));
    // Both scans say that they are of the first component, so that the second one has no samples.
    for (let at = 0; at < bytes.length - 5; at += 1) {
      if (bytes[at] === 0xff && bytes[at + 1] === 0xda) bytes[at + 5] = 1;
    }
    const [compiled, plain] = outcomes(bytes);
    expect(compiled).toEqual(plain);
    expect((compiled as number[]).filter((_, index) => index % 2 === 1).every((value) => value === 0)).toBe(
      true,
    );
  });
});

const missing =
  spawnSync('dcmcjpeg', ['--version']).error === undefined ? null : 'skipped: dcmtk is not installed';

describeWithPeer('Lossless JPEG by dcmtk', missing, () => {
  it.each([1, 2, 3, 4, 5, 6, 7])(
    'with predictor %i holds the values that went in, signed or not',
    async (predictor) => {
      const folder = mkdtempSync(join(tmpdir(), 'prelim-lossless-'));
      const [from, to] = [join(folder, 'from.dcm'), join(folder, 'to.dcm')];
      try {
        for (const [bits, sign] of [
          [8, 0],
          [12, 0],
          [16, 1],
        ] as const) {
          const samples = picture({ ...PICTURE, precision: bits }, 'waves');
          const cells = bits === 8 ? Uint8Array.from(samples) : Uint16Array.from(samples);
          const more = [
            ...[
              element(0x00280101, 'US', bits),
              element(0x00280102, 'US', bits - 1),
              element(0x00280103, 'US', sign),
            ],
          ];
          const pixels = Buffer.alloc(cells.byteLength + (cells.byteLength % 2));
          pixels.set(new Uint8Array(cells.buffer));
          const image = imagePixel(PICTURE.height, PICTURE.width, bits === 8 ? 8 : 16, more);
          writeFileSync(from, part10('1.2.840.10008.1.2.1', ...image, element(0x7fe00010, 'OW', pixels)));
          execFileSync('dcmcjpeg', ['+un', '+el', '+sv', String(predictor), from, to], { stdio: 'ignore' });
          const { values } = await decodePixels(readPart10(readFileSync(to)));
          expect(values).toEqual((await decodePixels(readPart10(readFileSync(from)))).values);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
