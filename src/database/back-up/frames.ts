import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline, type Writable } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { Failure } from '../../kernel/errors.ts';

/**
 * A back-up as a sequence of frames: one byte that says what it is, four for the length, and so many bytes; all compressed by Zstandard. A header, then
 * parts (a table or a file: its beginning, data, its end), then the digest of all before. What has no digest at its end was not written to its end.
 */
export type Frame =
  | { readonly kind: 'header' | 'table' | 'file' | 'end'; readonly value: unknown }
  | { readonly kind: 'data'; readonly bytes: Buffer };

const KINDS = { header: 'H', table: 'T', file: 'F', data: 'D', end: 'E', digest: 'Z' } as const;
type Kind = keyof typeof KINDS;
const KIND_OF = new Map(Object.entries(KINDS).map(([kind, letter]) => [letter.charCodeAt(0), kind as Kind]));

const HEAD_BYTES = 5;
/** What is written at once is a quarter of it; a longer one is no frame of ours. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** Zstandard's default: about a tenth of the size of FHIR, as quick as the disk. */
const LEVEL = 3;

/** Writes frames to a file that must not exist; `close` gives the number of bytes on the disk. */
export class FrameWriter {
  private readonly hash = createHash('sha256');
  private failed: Error | null = null;

  private constructor(
    private readonly into: Writable,
    private readonly ended: Promise<void>,
  ) {}

  /** Throws the error of the system, `EEXIST` among them. */
  static async open(path: string): Promise<FrameWriter> {
    const handle = await open(path, 'wx', 0o600);
    const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
    const ended = new Promise<void>((resolve, reject) => {
      // `flush`: the file is on the disk before it is said to be there.
      pipeline(compress, handle.createWriteStream({ flush: true }), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    const writer = new FrameWriter(compress, ended);
    ended.catch((error: Error) => {
      writer.failed = error;
    });
    return writer;
  }

  async write(frame: Frame): Promise<void> {
    const bytes = frame.kind === 'data' ? frame.bytes : Buffer.from(JSON.stringify(frame.value));
    const whole = frameOf(frame.kind, bytes);
    this.hash.update(whole);
    await this.send(whole);
  }

  async close(): Promise<void> {
    await this.send(frameOf('digest', this.hash.digest()));
    this.into.end();
    await this.ended;
  }

  async abandon(): Promise<void> {
    this.into.destroy();
    await this.ended.catch(() => undefined);
  }

  private async send(bytes: Buffer): Promise<void> {
    if (this.failed) throw this.failed;
    if (this.into.write(bytes)) return;
    await Promise.race([new Promise((resolve) => this.into.once('drain', resolve)), this.ended]);
  }
}

function frameOf(kind: Kind, bytes: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(KINDS[kind], 0, 'latin1');
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** The frames of a file, one after the other. Throws `backup.invalid` when it is none of ours, was changed, or is not whole. */
export async function* readFrames(path: string): AsyncGenerator<Frame> {
  const hash = createHash('sha256');
  let isWhole = false;
  for await (const { kind, bytes } of split(path)) {
    if (isWhole) throw damaged();
    if (kind === 'digest') {
      if (!hash.digest().equals(bytes)) throw damaged();
      isWhole = true;
      continue;
    }
    hash.update(frameOf(kind, bytes));
    yield kind === 'data' ? { kind, bytes } : { kind, value: jsonOf(bytes) };
  }
  if (!isWhole) throw damaged();
}

async function* split(path: string): AsyncGenerator<{ kind: Kind; bytes: Buffer }> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of decompressed(path)) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEAD_BYTES) {
      const kind = KIND_OF.get(rest[0] ?? 0);
      const end = HEAD_BYTES + rest.readUInt32BE(1);
      if (!kind || end > FRAME_BYTES_MAX) throw damaged();
      if (rest.length < end) break;
      yield { kind, bytes: rest.subarray(HEAD_BYTES, end) };
      rest = rest.subarray(end);
    }
  }
  if (rest.length > 0) throw damaged();
}

async function* decompressed(path: string): AsyncGenerator<Buffer> {
  const stream = pipeline(createReadStream(path), createZstdDecompress(), () => undefined);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code?.startsWith('ZSTD') || code?.startsWith('Z_') || code === 'ERR_STREAM_PREMATURE_CLOSE')
      throw damaged(cause);
    throw cause;
  } finally {
    stream.destroy();
  }
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw damaged(cause);
  }
}

const damaged = (cause?: unknown): Failure =>
  new Failure('backup.invalid', 'The file is no back-up of Prelim, or it is damaged or not whole.', {
    cause,
  });
