import { type BitReader, brokenJpeg, type HuffmanTable, type JpegTables, type Scan } from './jpeg-entropy.ts';

/** Figure A.6 of ITU-T T.81: the diagonals in turn, alternately up and down. Zigzag index → natural index. */
export const ZIGZAG = zigzag();

/** One block of a sequential scan (F.2.2), still quantized, in natural order. Gives the DC prediction for the next. */
export function readSequentialBlock(
  scan: Scan,
  tables: JpegTables,
  block: Int32Array,
  prediction: number,
): number {
  const [component] = scan.components;
  const dc = tableOf(tables.dc, component?.dc);
  const ac = tableOf(tables.ac, component?.ac);
  const { bits } = scan;
  block.fill(0);
  block[0] = prediction + bits.extended(category(bits.symbol(dc)));
  for (let at = 1; at < 64; at += 1) {
    const symbol = bits.symbol(ac);
    const size = symbol & 15;
    const run = symbol >> 4;
    if (size === 0 && run < 15) break;
    at += run;
    if (at > 63) throw brokenJpeg();
    if (size > 0) block[ZIGZAG[at]!] = bits.extended(size);
  }
  return block[0];
}

/** One scan of a progressive frame of one component (Annex G): the band Ss to Se, first pass or one more bit. */
export function decodeProgressiveScan(
  scan: Scan,
  tables: JpegTables,
  coefficients: Int16Array,
  blocks: number,
): void {
  const { start, end, high, low } = scan;
  if (end > 63 || start > end || low > 13 || (start === 0 && end !== 0)) throw brokenJpeg();
  const pass = start === 0 ? dcPass(scan, tables) : acPass(scan, tables, high !== 0);
  for (let at = 0; at < blocks; at += 1) {
    if (tables.restartInterval > 0 && at > 0 && at % tables.restartInterval === 0) pass.restart();
    pass.block(coefficients.subarray(at * 64, at * 64 + 64));
  }
}

interface Pass {
  block(coefficients: Int16Array): void;
  restart(): void;
}

function dcPass({ bits, high, low, components }: Scan, tables: JpegTables): Pass {
  let prediction = 0;
  const restart = () => {
    bits.restart();
    prediction = 0;
  };
  if (high !== 0) {
    const oneMore = (coefficients: Int16Array) => {
      coefficients[0] = coefficients[0]! | (bits.take(1) << low);
    };
    return { restart, block: oneMore };
  }
  const table = tableOf(tables.dc, components[0]?.dc);
  return {
    restart,
    block(coefficients) {
      prediction += bits.extended(category(bits.symbol(table)));
      coefficients[0] = prediction << low;
    },
  };
}

function acPass(scan: Scan, tables: JpegTables, refine: boolean): Pass {
  const { bits } = scan;
  const table = tableOf(tables.ac, scan.components[0]?.ac);
  // Blocks that still have nothing in this band (EOBRUN, G.1.2.2).
  let empty = 0;
  return {
    restart() {
      bits.restart();
      empty = 0;
    },
    block(coefficients) {
      empty = refine
        ? refineBand(coefficients, scan, table, empty)
        : firstBand(coefficients, scan, table, empty);
    },
  };
}

function firstBand(coefficients: Int16Array, scan: Scan, table: HuffmanTable, empty: number): number {
  if (empty > 0) return empty - 1;
  const { bits, start, end, low } = scan;
  for (let at = start; at <= end; at += 1) {
    const symbol = bits.symbol(table);
    const size = symbol & 15;
    const run = symbol >> 4;
    if (size === 0 && run < 15) return emptyRun(bits, run) - 1;
    at += run;
    if (size === 0) continue;
    if (at > end) throw brokenJpeg();
    coefficients[ZIGZAG[at]!] = bits.extended(size) << low;
  }
  return 0;
}

function refineBand(coefficients: Int16Array, scan: Scan, table: HuffmanTable, before: number): number {
  const { bits, start, end, low } = scan;
  const one = 1 << low;
  let empty = before;
  let at = start;
  if (empty === 0) {
    for (; at <= end; at += 1) {
      const symbol = bits.symbol(table);
      const run = symbol >> 4;
      let value = 0;
      if ((symbol & 15) === 1) value = bits.take(1) === 1 ? one : -one;
      else if ((symbol & 15) !== 0) throw brokenJpeg();
      else if (run < 15) {
        empty = emptyRun(bits, run);
        break;
      }
      at = refineUntil(coefficients, bits, { from: at, end, one, zeros: run });
      if (value !== 0 && at <= end) coefficients[ZIGZAG[at]!] = value;
    }
  }
  if (empty === 0) return 0;
  refineUntil(coefficients, bits, { from: at, end, one, zeros: Number.POSITIVE_INFINITY });
  return empty - 1;
}

/** Corrects what is not zero already and stops at the zero after `zeros` others (G.1.2.3). */
function refineUntil(
  coefficients: Int16Array,
  bits: BitReader,
  { from, end, one, zeros }: { from: number; end: number; one: number; zeros: number },
): number {
  let left = zeros;
  for (let at = from; at <= end; at += 1) {
    const index = ZIGZAG[at]!;
    const value = coefficients[index]!;
    if (value === 0) {
      if (left === 0) return at;
      left -= 1;
    } else if (bits.take(1) === 1 && (value & one) === 0)
      coefficients[index] = value + (value > 0 ? one : -one);
  }
  return end + 1;
}

function emptyRun(bits: BitReader, run: number): number {
  return (1 << run) + bits.take(run);
}

function tableOf(tables: readonly (HuffmanTable | undefined)[], number: number | undefined): HuffmanTable {
  const table = tables[number ?? 0];
  if (table === undefined) throw brokenJpeg();
  return table;
}

function category(size: number): number {
  if (size > 15) throw brokenJpeg();
  return size;
}

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
