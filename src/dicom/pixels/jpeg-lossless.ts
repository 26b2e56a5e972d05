import { Failure } from '../../kernel/errors.ts';
import type { CodestreamHeader } from './codestream-header.ts';
import type { DecodedFrame } from './decoded-frame.ts';
import { brokenJpeg, eachScan, type HuffmanTable, type JpegTables, type Scan } from './jpeg-entropy.ts';

/**
 * Lossless JPEG with Huffman coding (ITU-T T.81 Annex H), predictors 1 to 7, 2 to 16 bits, components interleaved or
 * one scan each. Samples come as bit patterns.
 */
export function decodeJpegLossless(bytes: Uint8Array, header: CodestreamHeader): DecodedFrame {
  const { width, height, components, precision } = header;
  const length = width * height * components;
  const samples = precision <= 8 ? new Uint8Array(length) : new Uint16Array(length);
  let done = 0;
  eachScan(bytes, (scan, tables) => {
    if (tables.sampling.some((factors) => factors !== tables.sampling[0])) {
      throw new Failure('dicom.pixel-format', 'Lossless JPEG with subsampled colour is not decoded.');
    }
    decodeScan(scan, tables, header, samples);
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
): void {
  const parts = scan.components.map(({ index, dc }) => ({ index, table: tableOf(tables, dc) }));
  const { bits, start: predictor, low } = scan;
  if (predictor < 1 || predictor > 7) throw brokenJpeg();
  const origin = 1 << (precision - low - 1);
  const rowLength = width * stride;
  // A restart begins the prediction anew; it falls on the start of a line (H.1.1).
  const linesPerRestart = tables.restartInterval === 0 ? height : tables.restartInterval / width;
  if (!Number.isInteger(linesPerRestart)) throw brokenJpeg();
  const decoded = new Int32Array(rowLength);
  const above = new Int32Array(rowLength);
  for (let row = 0; row < height; row += 1) {
    const first = row % linesPerRestart === 0;
    if (first && row > 0) bits.restart();
    for (let column = 0; column < width; column += 1) {
      for (const { index, table } of parts) {
        const at = column * stride + index;
        const category = bits.symbol(table);
        if (category > 16) throw brokenJpeg();
        const difference = category === 16 ? 32_768 : bits.extended(category);
        const guess = predict(predictor, decoded, above, at, stride, column === 0, first, origin);
        decoded[at] = (guess + difference) & 0xffff;
      }
    }
    for (const { index } of parts) {
      for (let at = index; at < rowLength; at += stride)
        samples[row * rowLength + at] = (decoded[at] ?? 0) << low;
    }
    above.set(decoded);
  }
}

/** H.1.2.1: left (a), above (b), above left (c). The first line is predicted from the left, the first column from above. */
function predict(
  predictor: number,
  decoded: Int32Array,
  above: Int32Array,
  at: number,
  stride: number,
  firstColumn: boolean,
  firstLine: boolean,
  origin: number,
): number {
  if (firstLine) return firstColumn ? origin : (decoded[at - stride] ?? 0);
  const b = above[at] ?? 0;
  if (firstColumn) return b;
  const a = decoded[at - stride] ?? 0;
  if (predictor === 1) return a;
  const c = above[at - stride] ?? 0;
  if (predictor === 2) return b;
  if (predictor === 3) return c;
  if (predictor === 4) return a + b - c;
  if (predictor === 5) return a + ((b - c) >> 1);
  if (predictor === 6) return b + ((a - c) >> 1);
  return (a + b) >> 1;
}

function tableOf(tables: JpegTables, number: number): HuffmanTable {
  const table = tables.dc[number];
  if (table === undefined) throw brokenJpeg();
  return table;
}
