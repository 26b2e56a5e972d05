import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeChunks, writePieces } from './write-chunks.ts';

it.each([
  ['thousands of small pieces, some empty', 3_000, 37],
  ['pieces of a socket', 40, 65_536],
  ['one piece larger than a write', 1, 3_000_000],
])('writes %s as they came', async (_what, pieces, size) => {
  const folder = await mkdtemp(join(tmpdir(), 'prelim-chunks-'));
  const chunks = Array.from({ length: pieces }, (_, at) =>
    Buffer.alloc(at % 5 === 4 ? 0 : size, 1 + (at % 250)),
  );
  async function* body() {
    yield* chunks;
  }
  try {
    const path = join(folder, 'file');
    const file = await open(path, 'wx');
    const bytes = await writeChunks(file, body());
    await file.close();
    const whole = Buffer.concat(chunks);
    expect(bytes).toBe(whole.length);
    expect((await readFile(path)).equals(whole)).toBe(true);
    const other = join(folder, 'other');
    await writePieces(other, chunks);
    expect((await readFile(other)).equals(whole)).toBe(true);
    expect((await stat(other)).mode & 0o777).toBe(0o600);
    await expect(writePieces(join(folder, 'none', 'other'), chunks)).rejects.toMatchObject({
      code: 'ENOENT',
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
