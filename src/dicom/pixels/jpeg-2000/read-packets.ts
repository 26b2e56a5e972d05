import { must, type ReversibleCodestream } from './codestream-markers.ts';
import { HeaderBits } from './header-bits.ts';
import { packetOrder } from './packet-order.ts';
import type { BandPrecinct, CodeBlock, Precinct } from './tile-geometry.ts';

/**
 * Reads all packets of a tile (ITU-T T.800 B.9, B.10): afterwards each code-block knows its bit-planes, coding passes and where its bytes stand.
 * The packets must fill `bytes` exactly.
 */
export function readPackets(
  bytes: Uint8Array,
  precincts: readonly Precinct[],
  codestream: ReversibleCodestream,
): void {
  const { progression, layers } = codestream;
  let at = 0;
  for (const [precinct, layer] of packetOrder(precincts, progression, layers)) {
    // SOP (A.8.1) before the packet. No header begins with such bytes.
    if (bytes[at] === 0xff && bytes[at + 1] === 0x91) at += 6;
    at = readPacket(bytes, at, [precinct, layer], codestream);
  }
  must(at === bytes.length);
}

/** More than any code-block needs, in all layers together (4,096 samples of 23 bits are 12 KB), and what the program has room for. */
const BLOCK_BYTES_MAX = 32_768;
/** Two bits are gained by the wavelets and one by colours; as many more again are not a picture. */
const PLANES_GAINED_MAX = 7;
const ZERO_PLANES_MAX = 80;

interface Included {
  readonly block: CodeBlock;
  readonly length: number;
}

function readPacket(
  bytes: Uint8Array,
  start: number,
  [precinct, layer]: readonly [Precinct, number],
  { precision, headerEnds }: ReversibleCodestream,
): number {
  const bits = new HeaderBits(bytes, start);
  const included: Included[] = [];
  if (bits.bit() === 1) {
    for (const band of precinct.bands) readBand(bits, band, layer, included);
  }
  let at = bits.end();
  if (headerEnds) {
    must(bytes[at] === 0xff && bytes[at + 1] === 0x92);
    at += 2;
  }
  for (const { block, length } of included) {
    must(block.planes <= precision + PLANES_GAINED_MAX);
    block.pieces.push(at, length);
    at += length;
    must(at <= bytes.length);
  }
  return at;
}

function readBand(bits: HeaderBits, band: BandPrecinct, layer: number, included: Included[]): void {
  const { across, blocks, inclusion, zeroPlanes, planesMax } = band;
  for (const [index, block] of blocks.entries()) {
    const x = index % across;
    const y = Math.floor(index / across);
    if (block.planes > 0) {
      if (bits.bit() === 0) continue;
    } else {
      if (inclusion.read(bits, x, y, layer + 1) > layer) continue;
      block.planes = planesMax - zeroPlanes.read(bits, x, y, ZERO_PLANES_MAX);
      must(block.planes > 0);
    }
    const passes = readPasses(bits);
    block.passes += passes;
    must(block.passes <= 3 * block.planes - 2);
    while (bits.bit() === 1) block.lengthBits += 1;
    const lengthBits = block.lengthBits + (31 - Math.clz32(passes));
    must(lengthBits <= 31);
    const length = bits.bits(lengthBits);
    block.bytes += length;
    must(block.bytes <= BLOCK_BYTES_MAX);
    included.push({ block, length });
  }
}

/** Table B.4. */
function readPasses(bits: HeaderBits): number {
  if (bits.bit() === 0) return 1;
  if (bits.bit() === 0) return 2;
  const few = bits.bits(2);
  if (few < 3) return 3 + few;
  const more = bits.bits(5);
  return more < 31 ? 6 + more : 37 + bits.bits(7);
}
