/**
 * A process of its own for `t27-damaged-frames.spec.ts`: decodes damaged copies of compressed frames in a pixel worker and prints, as JSON, its memory after each
 * round. Erasable TypeScript only, for the worker loads it too.
 *
 *     node --expose-gc damaged-frames.ts <rounds> <frames per round>=<file.dcm>...
 */
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { decodePixels } from '../../src/dicom/decode-pixels.ts';
import type { EncapsulatedPixelData } from '../../src/dicom/pixel-data.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import { Failure } from '../../src/kernel/errors.ts';

export interface Round {
  readonly seed: number;
  readonly files: readonly { readonly path: string; readonly count: number }[];
}

export interface RoundEnd {
  readonly rssMegabytes: number;
  readonly refused: number;
  readonly decoded: number;
  /** Files whose whole frame did not give the values again that it gave at first. */
  readonly changed: readonly string[];
  /** Of one frame, in processor time. */
  readonly slowestMs: number;
}

/** Values that each whole file gave at first; the worker lives through all rounds. */
const atFirst = new Map<string, Buffer>();

/** In the worker. Throws what is no Failure: a fault of the program. */
export async function decodeDamaged({ seed, files }: Round): Promise<Omit<RoundEnd, 'rssMegabytes'>> {
  const random = randomOf(seed);
  const changed: string[] = [];
  let refused = 0;
  let decoded = 0;
  let slowestMs = 0;
  for (const { path, count } of files) {
    const file = readPart10(readFileSync(path));
    const pixels = file.pixelData as EncapsulatedPixelData;
    const [fragment = { offset: 0, length: 0 }] = pixels.fragments;
    const whole = pixels.source.subarray(fragment.offset, fragment.offset + fragment.length);
    const decode = async (source: Buffer) => {
      const fragments = [{ offset: 0, length: source.length }];
      return await decodePixels({ ...file, pixelData: { ...pixels, offsets: [], source, fragments } });
    };
    const valuesOf = async () => Buffer.from((await decode(whole)).values.buffer.slice(0));
    if (!atFirst.has(path)) atFirst.set(path, await valuesOf());
    for (let n = 0; n < count; n += 1) {
      const start = process.threadCpuUsage();
      await decode(damaged(whole, random)).then(
        () => {
          decoded += 1;
        },
        (error: unknown) => {
          if (!(error instanceof Failure)) throw error;
          refused += 1;
        },
      );
      const { user, system } = process.threadCpuUsage(start);
      slowestMs = Math.max(slowestMs, (user + system) / 1000);
    }
    if (!(await valuesOf()).equals(atFirst.get(path) ?? Buffer.alloc(0))) changed.push(path);
  }
  await collect();
  return { refused, decoded, changed, slowestMs };
}

/** What is unreachable goes, and what only that held: memory of WebAssembly goes a turn after its instance. */
async function collect(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** One to six bytes changed behind the first two; every fourth frame is also cut short. */
function damaged(whole: Buffer, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(whole);
  for (let n = 1 + random(6); n > 0; n -= 1) bytes[2 + random(bytes.length - 2)] = random(256);
  return random(4) === 0 ? bytes.subarray(0, 4 + random(bytes.length - 4)) : bytes;
}

/** The same numbers for the same seed (a linear congruential generator; its upper bits). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

if (isMainThread && process.argv[1] === import.meta.filename) {
  const rounds = Number(process.argv[2]);
  const files = process.argv.slice(3).map((argument) => {
    const [count = '', path = ''] = argument.split('=');
    return { path, count: Number(count) };
  });
  const workers = new PixelWorkers({ size: 1 });
  for (let seed = 1; seed <= rounds; seed += 1) {
    const round: Round = { seed, files };
    const end = await workers.run<Omit<RoundEnd, 'rssMegabytes'>>(
      new URL(import.meta.url),
      'decodeDamaged',
      round,
      { timeoutMs: 300_000 },
    );
    await collect();
    const rssMegabytes = process.memoryUsage.rss() / 1_000_000;
    process.stdout.write(`${JSON.stringify({ ...end, rssMegabytes } satisfies RoundEnd)}\n`);
  }
  await workers.close();
}
