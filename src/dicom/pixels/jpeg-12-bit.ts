import { Failure } from '../../kernel/errors.ts';
import type { CodestreamHeader } from './codestream-header.ts';
import type { DecodedFrame } from './decoded-frame.ts';
import { inverseDct } from './inverse-dct.ts';
import { decodeProgressiveScan, readSequentialBlock, ZIGZAG } from './jpeg-coefficients.ts';
import { brokenJpeg, eachScan, type JpegTables, type Scan } from './jpeg-entropy.ts';

/**
 * DCT JPEG with 12 bits and one component: sequential (ITU-T T.81 Annex F, process 4, transfer syntax .51) and progressive (Annex G,
 * the retired .53 and .55, still in old archives). A progressive frame keeps its coefficients until the last scan.
 */
export function decodeJpeg12Bit(bytes: Uint8Array, header: CodestreamHeader): DecodedFrame {
  const { width, height, components, precision } = header;
  if (components !== 1) throw new Failure('dicom.pixel-format', '12-bit JPEG with colour is not decoded.');
  const samples = new Uint16Array(width * height);
  const grid: BlockGrid = { across: Math.ceil(width / 8), down: Math.ceil(height / 8) };
  const done =
    header.marker === 0xc2
      ? progressive(bytes, header, grid, samples)
      : sequential(bytes, header, grid, samples);
  if (!done) throw brokenJpeg();
  return { width, height, components, precision, signed: false, samples, rgb: false };
}

interface BlockGrid {
  readonly across: number;
  readonly down: number;
}

function sequential(
  bytes: Uint8Array,
  header: CodestreamHeader,
  grid: BlockGrid,
  samples: Uint16Array,
): boolean {
  let done = false;
  eachScan(bytes, (scan, tables) => {
    const quantization = quantizationOf(tables);
    const block = new Int32Array(64);
    let prediction = 0;
    for (let at = 0; at < grid.across * grid.down; at += 1) {
      if (isRestart(tables, at)) {
        scan.bits.restart();
        prediction = 0;
      }
      prediction = readSequentialBlock(scan, tables, block, prediction);
      for (let index = 0; index < 64; index += 1) block[ZIGZAG[index]!]! *= quantization[index]!;
      putBlock(block, at, grid, header, samples);
    }
    done = true;
  });
  return done;
}

function progressive(
  bytes: Uint8Array,
  header: CodestreamHeader,
  grid: BlockGrid,
  samples: Uint16Array,
): boolean {
  const blocks = grid.across * grid.down;
  const coefficients = new Int16Array(blocks * 64);
  let quantization: Uint16Array | null = null;
  let scans = 0;
  eachScan(bytes, (scan: Scan, tables: JpegTables) => {
    scans += 1;
    // Each scan costs a pass over the image; an encoder makes some ten of them.
    if (scans > SCANS_MAX) throw brokenJpeg();
    decodeProgressiveScan(scan, tables, coefficients, blocks);
    quantization = quantizationOf(tables);
  });
  if (quantization === null) return false;
  const block = new Int32Array(64);
  for (let at = 0; at < blocks; at += 1) {
    for (let index = 0; index < 64; index += 1) {
      const natural = ZIGZAG[index]!;
      block[natural] = coefficients[at * 64 + natural]! * (quantization as Uint16Array)[index]!;
    }
    putBlock(block, at, grid, header, samples);
  }
  return true;
}

/** One component has at most 1 + 63 × 14 scans by the standard; a hostile file may repeat them for ever. */
const SCANS_MAX = 64;

function quantizationOf(tables: JpegTables): Uint16Array {
  const table = tables.quantization[tables.quantizationOf[0] ?? 0];
  if (table === undefined) throw brokenJpeg();
  return table;
}

function isRestart(tables: JpegTables, block: number): boolean {
  return tables.restartInterval > 0 && block > 0 && block % tables.restartInterval === 0;
}

function putBlock(
  block: Int32Array,
  at: number,
  { across }: BlockGrid,
  { width, height, precision }: CodestreamHeader,
  samples: Uint16Array,
): void {
  inverseDct(block);
  const left = (at % across) * 8;
  const top = Math.floor(at / across) * 8;
  const shift = 2 ** (precision - 1);
  const max = 2 ** precision - 1;
  for (let y = 0; y < 8 && top + y < height; y += 1) {
    const line = (top + y) * width + left;
    const end = Math.min(8, width - left);
    for (let x = 0; x < end; x += 1) {
      const value = block[y * 8 + x]! + shift;
      samples[line + x] = value < 0 ? 0 : Math.min(value, max);
    }
  }
}
