import { Failure } from '../kernel/errors.ts';

/**
 * The Minimal Lower Layer Protocol: `0B` body `1C 0D`. Frames are cut from bytes as they come; nothing is decoded here,
 * because packets cut letters in two. Chunks stay in a list and only new bytes are searched: joining on every
 * packet makes a 12 MiB message cost seconds.
 */

/** Largest body: a report with an embedded PDF fits; an endless frame must not fill the memory. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** What a frame decoder saw that was not as it should be: lengths only, never content. */
export type FrameOddity =
  /** Bytes between frames other than CR, LF and NUL. */
  | 'noise'
  /** A start block inside a frame: the frame before lost its end and is dropped. */
  | 'lost-end'
  /** An end block without its CR; taken as the end. */
  | 'end-without-cr';

export class MllpFrameDecoder {
  private readonly bytesMax: number;
  private readonly onOddity: (oddity: FrameOddity, bytes: number) => void;
  private chunks: Buffer[] = [];
  /** Where small chunks are gathered once there are many: a frame in packets of one byte must not cost an object for each. */
  private tail: Buffer | null = null;
  private tailLength = 0;
  private length = 0;
  private inside = false;
  /** The last byte of the frame so far is FS; the next one decides. */
  private afterFs = false;

  constructor(options: { bytesMax?: number; onOddity?: (oddity: FrameOddity, bytes: number) => void } = {}) {
    this.bytesMax = options.bytesMax ?? FRAME_BYTES_MAX;
    this.onOddity = options.onOddity ?? (() => {});
  }

  /** Is a frame open? */
  get isInside(): boolean {
    return this.inside;
  }

  /** Bytes of the frame that is open. */
  get heldBytes(): number {
    return this.length;
  }

  /** Is only the CR after an end block missing? */
  get awaitsCr(): boolean {
    return this.afterFs;
  }

  /** Takes bytes as they came; gives the bodies that they complete. Throws `hl7.too-large`; then the connection is of no use. */
  push(chunk: Buffer): Buffer[] {
    const bodies: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      at = this.inside ? this.readInside(chunk, at, bodies) : this.readBetween(chunk, at);
    }
    return bodies;
  }

  /** The line fell silent after an end block without CR: gives the body. null in any other state. */
  endSilently(): Buffer | null {
    if (!this.afterFs) return null;
    this.onOddity('end-without-cr', this.length);
    return this.finish();
  }

  private readBetween(chunk: Buffer, from: number): number {
    const start = chunk.indexOf(VT, from);
    const end = start < 0 ? chunk.length : start;
    let noise = 0;
    for (let at = from; at < end; at += 1) if (!BETWEEN_FRAMES.has(chunk[at]!)) noise += 1;
    if (noise > 0) this.onOddity('noise', noise);
    if (start < 0) return chunk.length;
    this.inside = true;
    return start + 1;
  }

  private readInside(chunk: Buffer, from: number, bodies: Buffer[]): number {
    if (this.afterFs) return this.readAfterFs(chunk, from, bodies);
    const fs = chunk.indexOf(FS, from);
    const end = fs < 0 ? chunk.length : fs;
    const vt = chunk.subarray(from, end).lastIndexOf(VT);
    if (vt >= 0) {
      this.onOddity('lost-end', this.length + vt);
      this.drop();
    }
    this.keep(chunk.subarray(vt >= 0 ? from + vt + 1 : from, end));
    if (fs < 0) return chunk.length;
    this.afterFs = true;
    return fs + 1;
  }

  /** FS CR ends a frame; FS VT ends it too, leniently; FS and anything else was a byte of the body. */
  private readAfterFs(chunk: Buffer, at: number, bodies: Buffer[]): number {
    const next = chunk[at];
    if (next === CR || next === VT) {
      if (next === VT) this.onOddity('end-without-cr', this.length);
      bodies.push(this.finish());
      return next === CR ? at + 1 : at;
    }
    this.afterFs = false;
    this.keep(Buffer.of(FS));
    return at;
  }

  private keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.length += bytes.length;
    if (this.length > this.bytesMax) {
      throw new Failure(
        'hl7.too-large',
        `A frame is longer than ${this.bytesMax} bytes; the connection is closed.`,
      );
    }
    if (bytes.length >= SMALL_CHUNK_BYTES || this.chunks.length < SMALL_CHUNKS_MAX) {
      this.flushTail();
      this.chunks.push(bytes);
      return;
    }
    if (this.tail === null || this.tailLength + bytes.length > TAIL_BYTES) this.flushTail();
    this.tail ??= Buffer.allocUnsafeSlow(TAIL_BYTES);
    bytes.copy(this.tail, this.tailLength);
    this.tailLength += bytes.length;
  }

  private flushTail(): void {
    if (this.tail !== null) this.chunks.push(this.tail.subarray(0, this.tailLength));
    this.tail = null;
    this.tailLength = 0;
  }

  private drop(): void {
    this.chunks = [];
    this.tail = null;
    this.tailLength = 0;
    this.length = 0;
  }

  private finish(): Buffer {
    this.flushTail();
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.length);
    this.drop();
    this.inside = false;
    this.afterFs = false;
    return body;
  }
}

/** Frames a body in one buffer. Throws `hl7.unbuildable` for a body that holds a block character. */
export function frame(body: Buffer): Buffer {
  if (body.includes(VT) || body.includes(FS)) {
    throw new Failure(
      'hl7.unbuildable',
      'A message holds a block character (0B or 1C) and cannot be framed.',
    );
  }
  return Buffer.concat([START, body, END]);
}

/** The first chunks are kept as they are: a usual message comes in one or two. */
const SMALL_CHUNKS_MAX = 16;
const SMALL_CHUNK_BYTES = 4_096;
const TAIL_BYTES = 65_536;
const VT = 0x0b;
const FS = 0x1c;
const CR = 0x0d;
const START = Buffer.of(VT);
const END = Buffer.of(FS, CR);
/** CR, LF and NUL between frames are what real senders leave there. */
const BETWEEN_FRAMES = new Set([0x0d, 0x0a, 0x00]);
