import { Failure } from '../../kernel/errors.ts';

/** Markers, Huffman tables and bits of ITU-T T.81, shared by the lossless and the 12-bit decoder. */
export interface JpegTables {
  readonly dc: (HuffmanTable | undefined)[];
  readonly ac: (HuffmanTable | undefined)[];
  /** Quantization tables in zigzag order. */
  readonly quantization: (Uint16Array | undefined)[];
  restartInterval: number;
  /** Component identifiers in the order of the frame header. */
  componentIds: number[];
  /** Horizontal and vertical sampling factor, in one byte each as in the frame header. */
  sampling: number[];
  quantizationOf: number[];
}

export interface Scan {
  /** Indexes of the frame's components in this scan, with their table numbers. */
  readonly components: readonly { readonly index: number; readonly dc: number; readonly ac: number }[];
  /** Ss: the predictor of a lossless scan. */
  readonly start: number;
  readonly end: number;
  /** Ah: 0 in the first scan of a band, else the bit that was sent before. */
  readonly high: number;
  /** Al: the point transform. */
  readonly low: number;
  readonly bits: BitReader;
}

/** Walks through the markers and calls `decode` for each scan (B.2); stops at EOI or at the end of the bytes. */
export function eachScan(bytes: Uint8Array, decode: (scan: Scan, tables: JpegTables) => void): void {
  const tables: JpegTables = {
    ...{ dc: [], ac: [], quantization: [], restartInterval: 0 },
    ...{ componentIds: [], sampling: [], quantizationOf: [] },
  };
  let at = 2;
  while (at + 4 <= bytes.length) {
    const marker = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xff || marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === 0xd9) return;
    if (marker === 0 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
      continue;
    }
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    if (length < 2 || at + 2 + length > bytes.length) throw brokenJpeg();
    const segment = bytes.subarray(at + 4, at + 2 + length);
    at += 2 + length;
    if (marker === 0xda) {
      const scan = readScan(segment, new BitReader(bytes, at), tables);
      decode(scan, tables);
      at = scan.bits.position;
    } else readSegment(marker, segment, tables);
  }
}

function readSegment(marker: number, segment: Uint8Array, tables: JpegTables): void {
  if (marker === 0xc4) readHuffman(segment, tables);
  else if (marker === 0xdb) readQuantization(segment, tables);
  else if (marker === 0xdd) tables.restartInterval = ((segment[0] ?? 0) << 8) | (segment[1] ?? 0);
  else if (marker >= 0xc0 && marker <= 0xcf) readFrame(segment, tables);
}

function readFrame(segment: Uint8Array, tables: JpegTables): void {
  const count = segment[5] ?? 0;
  const at = (index: number, part: number) => segment[6 + 3 * index + part] ?? 0;
  const all = Array.from({ length: count }, (_, index) => index);
  tables.componentIds = all.map((index) => at(index, 0));
  tables.sampling = all.map((index) => at(index, 1));
  tables.quantizationOf = all.map((index) => at(index, 2));
}

function readScan(segment: Uint8Array, bits: BitReader, tables: JpegTables): Scan {
  const count = segment[0] ?? 0;
  const components = Array.from({ length: count }, (_, number) => {
    const selector = segment[2 + 2 * number] ?? 0;
    const index = tables.componentIds.indexOf(segment[1 + 2 * number] ?? -1);
    if (index < 0) throw brokenJpeg();
    return { index, dc: selector >> 4, ac: selector & 15 };
  });
  const tail = segment.subarray(1 + 2 * count);
  const approximation = tail[2] ?? 0;
  return {
    components,
    start: tail[0] ?? 0,
    end: tail[1] ?? 0,
    high: approximation >> 4,
    low: approximation & 15,
    bits,
  };
}

function readQuantization(segment: Uint8Array, tables: JpegTables): void {
  let at = 0;
  while (at < segment.length) {
    const head = segment[at] ?? 0;
    const wide = head >> 4 !== 0;
    const table = new Uint16Array(64);
    at += 1;
    for (let index = 0; index < 64; index += 1) {
      table[index] = wide ? ((segment[at] ?? 0) << 8) | (segment[at + 1] ?? 0) : (segment[at] ?? 0);
      at += wide ? 2 : 1;
    }
    tables.quantization[head & 3] = table;
  }
}

function readHuffman(segment: Uint8Array, tables: JpegTables): void {
  let at = 0;
  while (at + 17 <= segment.length) {
    const head = segment[at] ?? 0;
    const counts = segment.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (at + 17 + total > segment.length) throw brokenJpeg();
    const table = new HuffmanTable(counts, segment.subarray(at + 17, at + 17 + total));
    (head >> 4 === 0 ? tables.dc : tables.ac)[head & 3] = table;
    at += 17 + total;
  }
}

/** Every code of up to 16 bits in one flat table (C.2): `(length << 8) | symbol`, 0 where no code is. */
export class HuffmanTable {
  readonly lookup = new Uint16Array(65_536);
  private whole: Int32Array | null = null;

  /**
   * For lossless frames: the next 13 bits → a whole difference, code and value bits in one step, as `(difference << 5) | bits`. 0 where
   * they do not fit, which is rare: a difference of n bits has a code that is about as long.
   */
  differences(): Int32Array {
    this.whole ??= wholeDifferences(this.lookup);
    return this.whole;
  }

  constructor(counts: Uint8Array, symbols: Uint8Array) {
    let code = 0;
    let next = 0;
    for (let length = 1; length <= 16; length += 1) {
      for (let count = counts[length - 1] ?? 0; count > 0; count -= 1) {
        const from = code << (16 - length);
        const to = (code + 1) << (16 - length);
        if (to > 65_536) throw brokenJpeg();
        this.lookup.fill((length << 8) | (symbols[next] ?? 0), from, to);
        next += 1;
        code += 1;
      }
      code <<= 1;
    }
  }
}

const DIFFERENCE_BITS = 13;

const DIFFERENCE_MASK = (1 << DIFFERENCE_BITS) - 1;

function wholeDifferences(lookup: Uint16Array): Int32Array {
  const whole = new Int32Array(1 << DIFFERENCE_BITS);
  for (let index = 0; index < whole.length; index += 1) {
    const entry = lookup[index << (16 - DIFFERENCE_BITS)]!;
    const size = entry & 0xff;
    const bits = (entry >> 8) + size;
    if (entry === 0 || size > 15 || bits > DIFFERENCE_BITS) continue;
    const value = (index >>> (DIFFERENCE_BITS - bits)) & ((1 << size) - 1);
    const difference = size === 0 || value >= 1 << (size - 1) ? value : value - (1 << size) + 1;
    whole[index] = (difference << 5) | bits;
  }
  return whole;
}

/** Bits of the entropy-coded part, with byte stuffing and restart markers (F.1.2.3). */
export class BitReader {
  position: number;
  private readonly bytes: Uint8Array;
  private buffer = 0;
  private count = 0;
  private missing = 0;

  constructor(bytes: Uint8Array, start: number) {
    this.bytes = bytes;
    this.position = start;
  }

  /** Next Huffman symbol. */
  symbol(table: HuffmanTable): number {
    if (this.count < 16) this.fill();
    const entry = table.lookup[(this.buffer >>> (this.count - 16)) & 0xffff] ?? 0;
    if (entry === 0) throw brokenJpeg();
    this.count -= entry >> 8;
    return entry & 0xff;
  }

  /** The next `size` bits (0 to 15) as a signed difference (EXTEND, F.2.2.1). */
  extended(size: number): number {
    if (size === 0) return 0;
    if (this.count < 16) this.fill();
    this.count -= size;
    const value = (this.buffer >>> this.count) & ((1 << size) - 1);
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  /** The next `size` bits (0 to 15) as they are. */
  take(size: number): number {
    if (size === 0) return 0;
    if (this.count < 16) this.fill();
    this.count -= size;
    return (this.buffer >>> this.count) & ((1 << size) - 1);
  }

  /**
   * Fills `target` with differences of one component of a lossless scan (H.1.2.2). One loop with everything in local variables: it runs once
   * per sample, and a call for each would take several times the time.
   */
  differences(table: HuffmanTable, target: Int32Array): void {
    const whole = table.differences();
    const { bytes } = this;
    const last = bytes.length - 1;
    const { length } = target;
    let { buffer, count, position } = this;
    for (let at = 0; at < length; at += 1) {
      if (count < 16) {
        const pair = position < last ? (bytes[position]! << 8) | bytes[position + 1]! : 0xffff;
        if ((pair & 0xff) !== 0xff && pair < 0xff00) {
          buffer = (buffer << 16) | pair;
          count += 16;
          position += 2;
        } else {
          this.put(buffer, count, position);
          this.fill();
          ({ buffer, count, position } = this);
        }
      }
      const entry = whole[(buffer >>> (count - DIFFERENCE_BITS)) & DIFFERENCE_MASK]!;
      if (entry !== 0) {
        count -= entry & 31;
        target[at] = entry >> 5;
      } else {
        this.put(buffer, count, position);
        target[at] = this.difference(table);
        ({ buffer, count, position } = this);
      }
    }
    this.put(buffer, count, position);
  }

  /** The next difference of a lossless scan. */
  difference(table: HuffmanTable): number {
    const size = this.symbol(table);
    if (size > 16) throw brokenJpeg();
    return size === 16 ? 32_768 : this.extended(size);
  }

  /** Whether bits were taken that the stream does not have: zeros that stand for them. */
  get overrun(): boolean {
    return this.count < 8 * this.missing;
  }

  private put(buffer: number, count: number, position: number): void {
    this.buffer = buffer;
    this.count = count;
    this.position = position;
  }

  /** Moves behind the next restart marker and forgets the bits before it. */
  restart(): void {
    this.buffer = 0;
    this.count = 0;
    this.missing = 0;
    while (this.position + 1 < this.bytes.length) {
      const marker = this.bytes[this.position + 1] ?? 0;
      if (this.bytes[this.position] === 0xff && marker >= 0xd0 && marker <= 0xd7) {
        this.position += 2;
        return;
      }
      if (this.bytes[this.position] === 0xff && marker !== 0 && marker !== 0xff) throw brokenJpeg();
      this.position += 1;
    }
    throw brokenJpeg();
  }

  /** Zeros follow the last bit, for a code may be shorter than the 16 bits looked at; many of them mean the end is missing. */
  private fill(): void {
    while (this.count <= 16) {
      let byte = 0;
      if (this.position >= this.bytes.length || this.atMarker()) {
        this.missing += 1;
        if (this.missing > 8) throw brokenJpeg();
      } else {
        byte = this.bytes[this.position] ?? 0;
        this.position += byte === 0xff ? 2 : 1;
      }
      this.buffer = (this.buffer << 8) | byte;
      this.count += 8;
    }
  }

  private atMarker(): boolean {
    return this.bytes[this.position] === 0xff && (this.bytes[this.position + 1] ?? 0xd9) !== 0;
  }
}

export function brokenJpeg(): Failure {
  return new Failure('dicom.codestream', 'The JPEG frame is broken or cut short.');
}
