import type { CodestreamHeader } from '../codestream-header.ts';
import type { HuffmanTable } from '../jpeg-entropy.ts';
import { type LosslessProgram, losslessProgram, releaseLarge } from './lossless-program.ts';

/** What one scan needs beside its bytes. */
export interface LosslessScan {
  /** Where its entropy-coded part begins in the frame. */
  readonly position: number;
  /** Of each component in the scan: which of the frame's it is, and its table. */
  readonly parts: readonly { readonly index: number; readonly table: HuffmanTable }[];
  readonly predictor: number;
  readonly origin: number;
  readonly low: number;
  readonly restartLines: number;
}

/** A frame that is decoded scan by scan in the memory of a compiled program. */
export interface CompiledFrame {
  /** Interleaved, zeros at first, in the program's memory: they stand until its next frame. */
  readonly samples: Uint8Array | Uint16Array;
  /** Where the reader stands at the end of the scan, or null where anything is out of order; it may have written samples by then. */
  decode(scan: LosslessScan): number | null;
}

/** Larger ones are left to the other decoder. */
const FRAME_BYTES_MAX = 768 * 1024 * 1024;
/** Behind the last byte, so that four may be read at once anywhere. */
const END = new Uint8Array(8).fill(0xff);
const PARTS_MAX = 4;

/** Null where there is no memory for the frame. */
export function compiledFrame(bytes: Uint8Array, header: CodestreamHeader): CompiledFrame | null {
  const { width, height, components, precision } = header;
  const program = losslessProgram();
  const cell = precision <= 8 ? 1 : 2;
  const picture = program.frameAt();
  const lines = picture + aligned(width * height * components * cell);
  const stream = lines + 2 * PARTS_MAX * width * 4;
  const end = stream + bytes.length;
  if (end + END.length > FRAME_BYTES_MAX || program.reserve(end + END.length) === 0) return null;
  releaseLarge(program);
  const { buffer } = program.memory;
  const memory = new Uint8Array(buffer);
  memory.set(bytes, stream);
  memory.set(END, end);
  const length = width * height * components;
  const samples =
    cell === 1 ? new Uint8Array(buffer, picture, length) : new Uint16Array(buffer, picture, length);
  samples.fill(0);
  return {
    samples,
    decode: (scan) => {
      const { parts, position, restartLines, predictor, origin, low } = scan;
      if (parts.length > PARTS_MAX || parts.some(({ index }) => index >= components)) return null;
      for (const [part, { index, table }] of parts.entries()) {
        putTable(program, part, table);
        program.setTarget(part, picture + index * cell);
      }
      const at = program.decodeScan(
        ...([
          stream + position,
          end,
          parts.length,
          width,
          height,
          restartLines,
          predictor,
          origin,
          low,
        ] as const),
        ...([cell, cell * components, lines] as const),
      );
      return at === 0 ? null : at - stream;
    },
  };
}

const aligned = (bytes: number): number => Math.ceil(bytes / 16) * 16;

function putTable(program: LosslessProgram, part: number, table: HuffmanTable): void {
  const at = program.tableAt(part);
  const whole = table.differences();
  new Int32Array(program.memory.buffer, at, whole.length).set(whole);
  new Uint16Array(program.memory.buffer, at + whole.byteLength, table.lookup.length).set(table.lookup);
}
