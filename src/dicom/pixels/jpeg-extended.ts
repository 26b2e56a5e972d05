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

/**
 * Sequential DCT with 12 bits (ITU-T T.81 Annex F, process 4), one component: radiographs in transfer syntax .51. The
 * inverse DCT is separable and in floating point; a result may differ by one from that of an integer decoder.
 */
export function decodeJpegExtended(bytes: Uint8Array, header: CodestreamHeader): DecodedFrame {
  const { width, height, components, precision } = header;
  if (components !== 1) throw new Failure('dicom.pixel-format', '12-bit JPEG with colour is not decoded.');
  const samples = new Uint16Array(width * height);
  let done = false;
  eachScan(bytes, (scan, tables) => {
    decodeScan(scan, tables, header, samples);
    done = true;
  });
  if (!done) throw brokenJpeg();
  return { width, height, components, precision, signed: false, samples, rgb: false };
}

function decodeScan(scan: Scan, tables: JpegTables, header: CodestreamHeader, samples: Uint16Array): void {
  const [component] = scan.components;
  const dc = tables.dc[component?.dc ?? 0];
  const ac = tables.ac[component?.ac ?? 0];
  const quantization = tables.quantization[tables.quantizationOf[0] ?? 0];
  if (dc === undefined || ac === undefined || quantization === undefined) throw brokenJpeg();
  const across = Math.ceil(header.width / 8);
  const blocks = across * Math.ceil(header.height / 8);
  const coefficients = new Float32Array(64);
  let prediction = 0;
  for (let block = 0; block < blocks; block += 1) {
    if (tables.restartInterval > 0 && block > 0 && block % tables.restartInterval === 0) {
      scan.bits.restart();
      prediction = 0;
    }
    coefficients.fill(0);
    prediction += scan.bits.extended(category(scan.bits.symbol(dc)));
    coefficients[0] = prediction * (quantization[0] ?? 0);
    readAc(scan.bits, ac, quantization, coefficients);
    inverseDct(coefficients);
    putBlock(coefficients, (block % across) * 8, Math.floor(block / across) * 8, header, samples);
  }
}

/** F.2.2.2: runs of zeros and values in zigzag order. */
function readAc(
  bits: BitReader,
  table: HuffmanTable,
  quantization: Uint16Array,
  coefficients: Float32Array,
): void {
  for (let at = 1; at < 64; at += 1) {
    const symbol = bits.symbol(table);
    const size = symbol & 15;
    const run = symbol >> 4;
    if (size === 0 && run < 15) return;
    at += run;
    if (at > 63) throw brokenJpeg();
    if (size > 0) coefficients[ZIGZAG[at] ?? 0] = bits.extended(size) * (quantization[at] ?? 0);
  }
}

function category(size: number): number {
  if (size > 15) throw brokenJpeg();
  return size;
}

const ZIGZAG = zigzag();
/** cos((2x + 1) u π / 16) · C(u) / 2, at [u * 8 + x] (A.3.3). */
const BASIS = Float32Array.from({ length: 64 }, (_, index) => {
  const u = index >> 3;
  return (Math.cos(((2 * (index & 7) + 1) * u * Math.PI) / 16) * (u === 0 ? Math.SQRT1_2 : 1)) / 2;
});
const half = new Float32Array(64);

function inverseDct(block: Float32Array): void {
  transform(block, half);
  transform(half, block);
}

/** One dimension, and transposed, so that twice gives both. */
function transform(from: Float32Array, to: Float32Array): void {
  for (let row = 0; row < 8; row += 1) {
    for (let x = 0; x < 8; x += 1) {
      let sum = 0;
      for (let u = 0; u < 8; u += 1) sum += (from[row * 8 + u] ?? 0) * (BASIS[u * 8 + x] ?? 0);
      to[x * 8 + row] = sum;
    }
  }
}

function putBlock(
  block: Float32Array,
  left: number,
  top: number,
  { width, height, precision }: CodestreamHeader,
  samples: Uint16Array,
): void {
  const shift = 2 ** (precision - 1);
  const max = 2 ** precision - 1;
  for (let y = 0; y < 8 && top + y < height; y += 1) {
    for (let x = 0; x < 8 && left + x < width; x += 1) {
      const value = Math.round((block[y * 8 + x] ?? 0) + shift);
      samples[(top + y) * width + left + x] = Math.max(0, Math.min(max, value));
    }
  }
}

/** Figure A.6: the diagonals in turn, alternately up and down. */
function zigzag(): Uint8Array {
  const order: number[] = [];
  for (let sum = 0; sum < 15; sum += 1) {
    const diagonal: number[] = [];
    for (let row = Math.max(0, sum - 7); row <= Math.min(7, sum); row += 1)
      diagonal.push(row * 8 + sum - row);
    order.push(...(sum % 2 === 0 ? diagonal.reverse() : diagonal));
  }
  return Uint8Array.from(order);
}
