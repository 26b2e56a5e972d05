import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../../../../test/peers/required.ts';
import { loadJpeg2000 } from '../jpeg-2000.ts';
import type { PixelDescription } from '../pixel-description.ts';
import { loadWasmDecoder, samplesOf } from '../wasm-decoder.ts';
import { decodeReversible } from './decode-reversible.ts';
import { reversibleProgram } from './reversible-program.ts';

const missing =
  spawnSync('opj_compress', ['-h']).error === undefined ? null : 'skipped: opj_compress is not installed';
const folder = mkdtempSync(join(tmpdir(), 'prelim-jpeg-2000-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly bits: number;
  readonly signed: boolean;
}

type Kind = 'noise' | 'waves' | 'flat';

/** The same numbers on every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function samplesLike({ width, height, components, bits, signed }: Picture, kind: Kind): number[] {
  const random = numbers(width * 31 + height + bits);
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const size = 2 ** bits;
  return Array.from({ length: width * height * components }, (_, index) => {
    const pixel = Math.floor(index / components);
    const wave = Math.sin((pixel % width) / 9) * Math.cos(Math.floor(pixel / width) / 7);
    if (kind === 'noise') return low + random(size);
    if (kind === 'flat') return low + (size >> 1);
    return low + Math.min(size - 1, Math.floor((size / 2) * (1 + wave * 0.9)) + random(3));
  });
}

/** By the reference encoder; it wants planes one after the other, and the bytes of a number low first. */
function encode(picture: Picture, samples: readonly number[], more: readonly string[] = []): Buffer {
  const { width, height, components, bits, signed } = picture;
  const wide = bits > 8;
  const raw = Buffer.alloc(samples.length * (wide ? 2 : 1));
  for (const [index, sample] of samples.entries()) {
    const at = (index % components) * width * height + Math.floor(index / components);
    if (wide) raw.writeUInt16LE(sample & 0xffff, at * 2);
    else raw.writeUInt8(sample & 0xff, at);
  }
  const from = join(folder, 'picture.rawl');
  const to = join(folder, 'picture.j2k');
  rmSync(to, { force: true });
  writeFileSync(from, raw);
  const form = `${width},${height},${components},${bits},${signed ? 's' : 'u'}`;
  const run = spawnSync('opj_compress', ['-i', from, '-o', to, '-F', form, ...more], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${more.join(' ')}: ${run.stdout}${run.stderr}`);
  return readFileSync(to);
}

const openJpeg = await loadWasmDecoder('@cornerstonejs/codec-openjpeg/decodewasmjs', 'J2KDecoder');

/** What OpenJPEG makes of it; null where it refuses. */
function byOpenJpeg(bytes: Uint8Array): number[] | null {
  try {
    const { info, decoded } = openJpeg(bytes);
    return info.width === 0
      ? null
      : Array.from(samplesOf(decoded, info.bitsPerSample, info.isSigned === true));
  } catch {
    return null;
  }
}

const ours = (bytes: Uint8Array): number[] | null => {
  const picture = decodeReversible(bytes);
  return picture === null ? null : Array.from(picture.samples);
};

// This encoder refuses a width, height, components and bits that have a binary digit in common.
const GREY: Picture = { width: 66, height: 45, components: 1, bits: 12, signed: false };
const COLOUR: Picture = { width: 40, height: 33, components: 3, bits: 8, signed: false };

describeWithPeer('Reversible JPEG 2000 gives back every value', missing, () => {
  it.each([1, 2, 3, 7, 8, 9, 12, 15, 16])('of %i bits, signed or not, in noise and in waves', (bits) => {
    for (const signed of [false, true]) {
      for (const kind of ['noise', 'waves', 'flat'] as const) {
        const picture = { ...GREY, bits, signed };
        const samples = samplesLike(picture, kind);
        expect(ours(encode(picture, samples))).toEqual(samples);
      }
    }
  });

  it.each([
    [1, 1, 1],
    [1, 9, 1],
    [130, 1, 1],
    [2, 2, 2],
    [3, 5, 2],
    [64, 64, 6],
    [65, 63, 4],
    [255, 7, 3],
  ])('of %i × %i pixels in %i resolutions', (width, height, resolutions) => {
    const picture = { ...GREY, width, height };
    const samples = samplesLike(picture, 'noise');
    expect(ours(encode(picture, samples, ['-n', String(resolutions)]))).toEqual(samples);
  });

  it.each([['4,4'], ['1024,4'], ['4,1024'], ['16,256'], ['32,32']])('in code-blocks of %s', (blocks) => {
    const picture = { ...GREY, width: 300, height: 70 };
    const samples = samplesLike(picture, 'waves');
    expect(ours(encode(picture, samples, ['-b', blocks]))).toEqual(samples);
  });

  it.each(['LRCP', 'RLCP', 'RPCL', 'PCRL', 'CPRL'])(
    'in the order %s with layers, precincts, tiles',
    (order) => {
      const picture = { ...COLOUR, width: 150, height: 130 };
      const samples = samplesLike(picture, 'waves');
      for (const more of [
        ['-c', '[64,64],[32,32]', '-SOP', '-EPH'],
        ['-r', '20,5,1', '-t', '64,50', '-TP', 'R'],
        ['-d', '5,3', '-c', '[32,64]', '-r', '9,1', '-EPH', '-mct', '0'],
      ]) {
        expect(ours(encode(picture, samples, ['-p', order, ...more]))).toEqual(samples);
      }
    },
  );

  it('Layers left out give what OpenJPEG makes of them', () => {
    for (const kind of ['noise', 'waves'] as const) {
      for (const rate of ['8', '3', '20,9,4']) {
        const bytes = encode(GREY, samplesLike(GREY, kind), ['-r', rate]);
        const found = ours(bytes);
        expect(found).not.toBeNull();
        expect(found).toEqual(byOpenJpeg(bytes));
      }
    }
  });
});

describeWithPeer(
  'What is not plain and reversible is left to OpenJPEG before anything is decoded',
  missing,
  () => {
    it.each([
      ['the irreversible wavelets', ['-I']],
      ['bypass', ['-M', '1']],
      ['contexts reset in each pass', ['-M', '2']],
      ['passes that end one by one', ['-M', '4']],
      ['vertically causal contexts', ['-M', '8']],
      ['segmentation symbols', ['-M', '32']],
      ['a region of interest', ['-ROI', 'c=0,U=3']],
    ])('%s', (_, more) => {
      const bytes = encode(GREY, samplesLike(GREY, 'waves'), more);
      expect(byOpenJpeg(bytes)).not.toBeNull();
      expect(ours(bytes)).toBeNull();
    });
  },
);

describeWithPeer('Numbers below zero in bytes', missing, () => {
  const picture = { ...GREY, bits: 8, signed: true };
  const samples = samplesLike(picture, 'waves');
  const description: PixelDescription = {
    ...{ rows: GREY.height, columns: GREY.width, samplesPerPixel: 1, frames: 1, planar: false },
    ...{
      bitsAllocated: 8,
      bitsStored: 8,
      highBit: 7,
      signed: true,
      photometricInterpretation: 'MONOCHROME2',
    },
  };

  it('are kept, and refused where OpenJPEG would make them 0', async () => {
    const decode = await loadJpeg2000('jpeg-2000');
    const frame = decode(encode(picture, samples), description);
    expect(Array.from(frame.samples)).toEqual(samples);
    expect(() => decode(encode(picture, samples, ['-I']), description)).toThrow('signed samples of 8 bits');
  });
});

describeWithPeer('Broken code streams', missing, () => {
  const picture = { ...COLOUR, width: 50, height: 37 };
  const whole =
    missing === null ? encode(picture, samplesLike(picture, 'waves'), ['-t', '32,32', '-n', '3']) : null;

  it('Cut anywhere, they are left to OpenJPEG, which says what is lost', () => {
    const bytes = whole ?? Buffer.alloc(0);
    for (let end = 0; end < bytes.length; end += 13) expect(ours(bytes.subarray(0, end))).toBeNull();
  });

  it('Changed anywhere, they give the values that OpenJPEG gives, or are left to it; nothing crashes or hangs', () => {
    const random = numbers(5);
    let decoded = 0;
    for (let turn = 0; turn < 400; turn += 1) {
      const bytes = Buffer.from(whole ?? []);
      // The size is compared with the data set's before any decoder sees it.
      for (let change = 0; change <= turn % 3; change += 1) {
        bytes[49 + random(bytes.length - 49)]! ^= 1 << random(8);
      }
      const found = ours(bytes);
      if (found === null) continue;
      decoded += 1;
      expect(found).toEqual(byOpenJpeg(bytes));
    }
    expect(decoded).toBeGreaterThan(50);
  });

  it('Precincts or tiles without number are not laid out', () => {
    const size = (width: number, tile: number) => {
      const bytes = Buffer.from(whole ?? []);
      for (const [at, value] of [
        [8, width],
        [12, width],
        [24, tile],
        [28, tile],
      ] as const)
        bytes.writeUInt32BE(value, at);
      return bytes;
    };
    const start = performance.now();
    expect(ours(size(16_384, 1))).toBeNull();
    expect(ours(size(2 ** 31, 2 ** 31))).toBeNull();
    expect(ours(size(16_384, 16_384))).toBeNull();
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe('Hostile markers', () => {
  it.each([
    ['nothing', ''],
    ['a start alone', 'ff4f'],
    ['a size of nothing', 'ff4fff510000'],
    ['other bytes', '00'.repeat(100)],
  ])('%s is no code stream', (_, hex) => {
    expect(decodeReversible(Buffer.from(hex, 'hex'))).toBeNull();
  });
});

describe('Hostile code-blocks', () => {
  it.each([
    ['markers and carries alone', 64, 64, [0xff, 0x8f]],
    ['bytes of ones', 4, 1024, [0xff]],
    ['stuffed bytes', 1024, 4, [0xff, 0x7f]],
    ['zeros', 64, 64, [0]],
  ])('of %s, as long as one may be, are decoded within their memory', (_, width, height, pattern) => {
    const program = reversibleProgram();
    const [code, to, area] = [program.codeAt(), program.frameAt() + 64, width * height * 4];
    program.reserve(to + area + 64);
    const memory = new Uint8Array(program.memory.buffer);
    const length = program.codeBytesMax();
    for (let at = 0; at < length; at += 1) memory[code + at] = pattern[at % pattern.length]!;
    memory.fill(0xaa, to - 64, to + area + 64);
    program.decodeBlock(length, width, height, 30, 88, 0, to, width * 4);
    expect(memory.subarray(to - 64, to).every((byte) => byte === 0xaa)).toBe(true);
    expect(memory.subarray(to + area, to + area + 64).every((byte) => byte === 0xaa)).toBe(true);
  });
});
