import { Failure } from '../../kernel/errors.ts';
import type { CodestreamHeader } from './codestream-header.ts';
import type { DecodedFrame } from './decoded-frame.ts';
import {
  type BitReader,
  brokenJpeg,
  eachScan,
  type HuffmanTable,
  type JpegTables,
  type Scan,
} from './jpeg-entropy.ts';
import { type CompiledFrame, compiledFrame } from './jpeg-lossless/decode-scan.ts';

/**
 * Lossless JPEG with Huffman coding (ITU-T T.81 Annex H), predictors 1 to 7, 2 to 16 bits, components interleaved or
 * one scan each. Samples come as bit patterns, in memory that stands until the next frame. A compiled program decodes each scan; one with anything out of order in
 * it is decoded anew by the code below, which says what is wrong with it.
 */
export function decodeJpegLossless(
  bytes: Uint8Array,
  header: CodestreamHeader,
  compile: typeof compiledFrame | (() => null) = compiledFrame,
): DecodedFrame {
  const { width, height, components, precision } = header;
  const length = width * height * components;
  const compiled = compile(bytes, header);
  const samples = compiled?.samples ?? (precision <= 8 ? new Uint8Array(length) : new Uint16Array(length));
  let done = 0;
  eachScan(bytes, (scan, tables) => {
    if (tables.sampling.some((factors) => factors !== tables.sampling[0])) {
      throw new Failure('dicom.pixel-format', 'Lossless JPEG with subsampled colour is not decoded.');
    }
    decodeScan(scan, tables, header, samples, compiled);
    done += scan.components.length;
  });
  if (done !== components) throw brokenJpeg();
  return { width, height, components, precision, signed: false, samples, rgb: false };
}

function decodeScan(
  scan: Scan,
  tables: JpegTables,
  { width, height, components: stride, precision }: CodestreamHeader,
  samples: Uint8Array | Uint16Array,
  compiled: CompiledFrame | null,
): void {
  const parts = scan.components.map(({ index }) => index);
  const codes = scan.components.map(({ dc }) => tableOf(tables, dc));
  const { bits, start: predictor, low } = scan;
  if (predictor < 1 || predictor > 7 || parts.length === 0) throw brokenJpeg();
  const origin = 1 << (precision - low - 1);
  // A restart begins the prediction anew; it falls on the start of a line (H.1.1).
  const linesPerRestart = tables.restartInterval === 0 ? height : tables.restartInterval / width;
  if (!Number.isInteger(linesPerRestart)) throw brokenJpeg();
  const end = compiled?.decode({
    ...{ position: bits.position, predictor, origin, low, restartLines: linesPerRestart },
    parts: parts.map((index, part) => ({ index, table: codes[part]! })),
  });
  if (typeof end === 'number') {
    bits.position = end;
    return;
  }
  // The line above and the line in work of each component, which change places after each line.
  const pairs = parts.map(() => ({ above: new Int32Array(width), line: new Int32Array(width) }));
  for (let row = 0; row < height; row += 1) {
    const first = row % linesPerRestart === 0;
    if (first && row > 0) bits.restart();
    readLine(bits, codes, pairs);
    if (bits.overrun) throw brokenJpeg();
    for (const [part, pair] of pairs.entries()) {
      const { above, line } = pair;
      if (first) addFromLeft(line, origin);
      else addPrediction(predictor, line, above);
      putLine(line, samples, { start: row * width * stride + parts[part]!, stride, low });
      pair.above = line;
      pair.line = above;
    }
  }
}

/** Differences of one line; those of several components stand in turn in the scan. */
function readLine(
  bits: BitReader,
  codes: readonly HuffmanTable[],
  pairs: readonly { readonly line: Int32Array }[],
): void {
  const [code] = codes;
  const [only] = pairs;
  if (code !== undefined && only !== undefined && pairs.length === 1) {
    bits.differences(code, only.line);
    return;
  }
  const width = only?.line.length ?? 0;
  for (let x = 0; x < width; x += 1) {
    for (let part = 0; part < pairs.length; part += 1) pairs[part]!.line[x] = bits.difference(codes[part]!);
  }
}

function putLine(
  line: Int32Array,
  samples: Uint8Array | Uint16Array,
  { start, stride, low }: { start: number; stride: number; low: number },
): void {
  const { length } = line;
  if (stride === 1) for (let x = 0; x < length; x += 1) samples[start + x] = line[x]! << low;
  else for (let x = 0, to = start; x < length; x += 1, to += stride) samples[to] = line[x]! << low;
}

/** The first line is predicted from the left (H.1.2.1). Sums are taken modulo 2^16. */
function addFromLeft(line: Int32Array, origin: number): void {
  let left = origin;
  for (let x = 0; x < line.length; x += 1) {
    left = (left + line[x]!) & 0xffff;
    line[x] = left;
  }
}

/** H.1.2.1: left (a), above (b), above left (c); the first column is predicted from above. A loop of its own for each predictor. */
function addPrediction(predictor: number, line: Int32Array, above: Int32Array): void {
  let a = (line[0]! + above[0]!) & 0xffff;
  line[0] = a;
  const { length } = line;
  if (predictor === 1) {
    for (let x = 1; x < length; x += 1) line[x] = a = (a + line[x]!) & 0xffff;
  } else if (predictor === 2) {
    for (let x = 1; x < length; x += 1) line[x] = (above[x]! + line[x]!) & 0xffff;
  } else if (predictor === 3) {
    for (let x = 1; x < length; x += 1) line[x] = (above[x - 1]! + line[x]!) & 0xffff;
  } else if (predictor === 4) {
    for (let x = 1; x < length; x += 1) line[x] = a = (a + above[x]! - above[x - 1]! + line[x]!) & 0xffff;
  } else if (predictor === 5) {
    for (let x = 1; x < length; x += 1)
      line[x] = a = (a + ((above[x]! - above[x - 1]!) >> 1) + line[x]!) & 0xffff;
  } else if (predictor === 6) {
    for (let x = 1; x < length; x += 1)
      line[x] = a = (above[x]! + ((a - above[x - 1]!) >> 1) + line[x]!) & 0xffff;
  } else {
    for (let x = 1; x < length; x += 1) line[x] = a = (((a + above[x]!) >> 1) + line[x]!) & 0xffff;
  }
}

function tableOf(tables: JpegTables, number: number): HuffmanTable {
  const table = tables.dc[number];
  if (table === undefined) throw brokenJpeg();
  return table;
}
