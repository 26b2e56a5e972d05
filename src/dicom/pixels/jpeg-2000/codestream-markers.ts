/** What a tile-component is coded with (COD or COC, QCD or QCC). */
export interface ComponentCoding {
  readonly levels: number;
  /** Exponents of the code-block's width and height. */
  readonly blockWidth: number;
  readonly blockHeight: number;
  /** Exponents of width and height of the precincts of each resolution. */
  readonly precincts: readonly { readonly width: number; readonly height: number }[];
  readonly guardBits: number;
  /** Exponent of each sub-band: LL, then HL, LH and HH of each resolution. */
  readonly exponents: readonly number[];
}

export interface Region {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** A code stream of the kind decoded here, its tiles' packets in order. */
export interface ReversibleCodestream {
  readonly image: Region;
  readonly precision: number;
  readonly signed: boolean;
  readonly components: readonly ComponentCoding[];
  readonly progression: number;
  readonly layers: number;
  readonly colours: boolean;
  /** Each packet header ends with a marker (EPH). */
  readonly headerEnds: boolean;
  readonly tiles: readonly { readonly region: Region; readonly packets: Uint8Array }[];
}

/**
 * The markers of a code stream (ITU-T T.800 Annex A), or null where it is not of the plain reversible kind: with 9/7 wavelets or quantization, subsampled or
 * unequal components, a region of interest, changed progressions, packed packet headers, code-block styles or tiles coded in another way than the rest.
 * Null also for anything that is out of order.
 */
export const readReversible = (bytes: Uint8Array): ReversibleCodestream => new Markers(bytes).read();

/** What `read` gives, or null where the code stream ended it. */
export function plainOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof NotPlain || error instanceof RangeError) return null;
    throw error;
  }
}

/** Many more are not a picture but an attack. */
const TILES_MAX = 4096;
const PRECISION_MAX = 16;

/** Ends the reading of a code stream that is not decoded here. */
class NotPlain extends Error {}

export function must(plain: boolean): asserts plain {
  if (!plain) throw new NotPlain();
}

interface Style {
  readonly levels: number;
  readonly blockWidth: number;
  readonly blockHeight: number;
  readonly precincts: readonly { readonly width: number; readonly height: number }[];
}

interface Quantization {
  readonly guardBits: number;
  readonly exponents: readonly number[];
}

class Markers {
  private readonly view: DataView;
  private at = 2;
  private image: Region = { x0: 0, y0: 0, x1: 0, y1: 0 };
  private grid = { width: 0, height: 0, x0: 0, y0: 0 };
  private depth = 0;
  private count = 0;
  private cod: { scod: number; progression: number; layers: number; colours: boolean; style: Style } | null =
    null;
  private qcd: Quantization | null = null;
  private readonly styles = new Map<number, Style>();
  private readonly quantizations = new Map<number, Quantization>();
  private readonly parts: Uint8Array[][] = [];
  /** How many parts a tile says that it has; 0 where it has not said it yet. */
  private readonly partCounts: number[] = [];

  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): ReversibleCodestream {
    must(this.u16(0) === 0xff4f && this.u16(2) === 0xff51);
    this.readSize();
    while (this.u16(this.at) !== 0xff90) this.readMain();
    const { cod, qcd } = this;
    must(cod !== null && qcd !== null);
    while (this.u16(this.at) === 0xff90) this.readTilePart();
    must(this.u16(this.at) === 0xffd9);
    const components = Array.from({ length: this.count }, (_, index) => ({
      ...(this.styles.get(index) ?? cod.style),
      ...(this.quantizations.get(index) ?? qcd),
    }));
    for (const { levels, exponents } of components) must(exponents.length >= 3 * levels + 1);
    must(!cod.colours || components.length === 3);
    const tiles = this.tileRegions().map((region, index) => {
      const parts = this.parts[index];
      must(parts !== undefined);
      must(parts.length === (this.partCounts[index] || parts.length));
      return { region, packets: parts.length === 1 ? parts[0]! : Buffer.concat(parts) };
    });
    const { progression, layers, colours } = cod;
    const { image } = this;
    const precision = (this.depth & 0x7f) + 1;
    const headerEnds = (cod.scod & 4) !== 0;
    const signed = this.depth > 127;
    return { image, precision, signed, components, progression, layers, colours, headerEnds, tiles };
  }

  /** SIZ (A.5.1). */
  private readSize(): void {
    const { view } = this;
    const length = this.u16(4);
    must((this.u16(6) & 0x4000) === 0);
    this.image = {
      x1: view.getUint32(8),
      y1: view.getUint32(12),
      x0: view.getUint32(16),
      y0: view.getUint32(20),
    };
    this.grid = {
      width: view.getUint32(24),
      height: view.getUint32(28),
      x0: view.getUint32(32),
      y0: view.getUint32(36),
    };
    this.count = this.u16(40);
    must((this.count === 1 || this.count === 3) && length === 38 + 3 * this.count);
    this.depth = this.u8(42);
    must((this.depth & 0x7f) < PRECISION_MAX);
    for (let at = 42; at < 42 + 3 * this.count; at += 3) {
      must(this.u8(at) === this.depth && this.u8(at + 1) === 1 && this.u8(at + 2) === 1);
    }
    const { image, grid } = this;
    must(image.x0 < image.x1 && image.y0 < image.y1 && image.x1 < 2 ** 31 && image.y1 < 2 ** 31);
    must(grid.x0 <= image.x0 && grid.y0 <= image.y0 && grid.width > 0 && grid.height > 0);
    must(grid.x0 + grid.width > image.x0 && grid.y0 + grid.height > image.y0);
    must(this.across() * this.down() <= TILES_MAX);
    this.at = 4 + length;
  }

  private readMain(): void {
    const marker = this.u16(this.at);
    const start = this.at + 4;
    const end = this.at + 2 + this.u16(this.at + 2);
    must(end >= start && end <= this.bytes.length);
    const wide = this.count < 257 ? 1 : 2;
    if (marker === 0xff52) this.readCod(start, end);
    else if (marker === 0xff5c) {
      must(this.qcd === null);
      this.qcd = this.quantization(start, end);
    } else if (marker === 0xff53) {
      must(this.cod !== null && !this.styles.has(this.u8(start)));
      this.styles.set(this.u8(start), this.style(start + wide + 1, end, (this.u8(start + wide) & 1) !== 0));
    } else if (marker === 0xff5d) {
      must(!this.quantizations.has(this.u8(start)));
      this.quantizations.set(this.u8(start), this.quantization(start + wide, end));
    } else must(IGNORED.has(marker));
    this.at = end;
  }

  /** COD (A.6.1). SOP and EPH are recognised where they stand. */
  private readCod(start: number, end: number): void {
    must(this.cod === null && end - start >= 10);
    const scod = this.u8(start);
    const progression = this.u8(start + 1);
    const layers = this.u16(start + 2);
    const colours = this.u8(start + 4);
    must(scod < 8 && progression <= 4 && layers > 0 && colours <= 1);
    const style = this.style(start + 5, end, (scod & 1) !== 0);
    this.cod = { scod, progression, layers, colours: colours === 1, style };
  }

  /** SPcod and SPcoc (Table A.15). */
  private style(start: number, end: number, own: boolean): Style {
    const levels = this.u8(start);
    const blockWidth = this.u8(start + 1) + 2;
    const blockHeight = this.u8(start + 2) + 2;
    must(levels <= 32 && blockWidth <= 10 && blockHeight <= 10 && blockWidth + blockHeight <= 12);
    must(this.u8(start + 3) === 0 && this.u8(start + 4) === 1);
    must(end === start + 5 + (own ? levels + 1 : 0));
    const precincts = Array.from({ length: levels + 1 }, (_, resolution) => {
      const size = own ? this.u8(start + 5 + resolution) : 0xff;
      // Of a size of one sample, only the lowest resolution may have precincts: the others would halve it.
      must(resolution === 0 || ((size & 15) > 0 && size >> 4 > 0));
      return { width: size & 15, height: size >> 4 };
    });
    return { levels, blockWidth, blockHeight, precincts };
  }

  /** SQcd and SPqcd without quantization (A.6.4). */
  private quantization(start: number, end: number): Quantization {
    const style = this.u8(start);
    must((style & 31) === 0);
    const exponents = Array.from(this.bytes.subarray(start + 1, end), (byte) => byte >> 3);
    return { guardBits: style >> 5, exponents };
  }

  /** SOT and what follows it (A.4.2): only markers that say nothing of the coding. */
  private readTilePart(): void {
    const start = this.at;
    must(this.u16(start + 2) === 10);
    const tile = this.u16(start + 4);
    const length = this.view.getUint32(start + 6);
    const index = this.u8(start + 10);
    const end = length === 0 ? this.bytes.length - 2 : start + length;
    must(tile < this.across() * this.down() && end <= this.bytes.length - 2);
    let at = start + 12;
    while (this.u16(at) !== 0xff93) {
      must(this.u16(at) === 0xff58 || this.u16(at) === 0xff64);
      at += 2 + this.u16(at + 2);
    }
    must(at + 2 <= end);
    this.parts[tile] ??= [];
    must(this.parts[tile].length === index);
    // A part need not say how many there are, but none may say otherwise.
    const count = this.u8(start + 11) || (this.partCounts[tile] ?? 0);
    must(count === 0 || (index < count && count === (this.partCounts[tile] || count)));
    this.partCounts[tile] = count;
    this.parts[tile].push(this.bytes.subarray(at + 2, end));
    this.at = end;
  }

  private across(): number {
    return Math.ceil((this.image.x1 - this.grid.x0) / this.grid.width);
  }

  private down(): number {
    return Math.ceil((this.image.y1 - this.grid.y0) / this.grid.height);
  }

  /** B.3. */
  private tileRegions(): Region[] {
    const { image, grid } = this;
    const across = this.across();
    return Array.from({ length: across * this.down() }, (_, index) => {
      const x0 = grid.x0 + (index % across) * grid.width;
      const y0 = grid.y0 + Math.floor(index / across) * grid.height;
      return {
        x0: Math.max(x0, image.x0),
        y0: Math.max(y0, image.y0),
        x1: Math.min(x0 + grid.width, image.x1),
        y1: Math.min(y0 + grid.height, image.y1),
      };
    });
  }

  private u8(at: number): number {
    return this.view.getUint8(at);
  }

  private u16(at: number): number {
    return this.view.getUint16(at);
  }
}

/** CRG, COM, TLM, PLM: places of reference, remarks, lengths. */
const IGNORED: ReadonlySet<number> = new Set([0xff63, 0xff64, 0xff55, 0xff57]);
