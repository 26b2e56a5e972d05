import { Failure } from '../../../kernel/errors.ts';
import { plainOrNull, type Region, type ReversibleCodestream, readReversible } from './codestream-markers.ts';
import { readPackets } from './read-packets.ts';
import { discard, type ReversibleProgram, releaseLarge, reversibleProgram } from './reversible-program.ts';
import { layOutComponent, PARTS_MAX, type Resolution, type TileComponent } from './tile-geometry.ts';

export interface ReversiblePicture {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly precision: number;
  readonly signed: boolean;
  /** Interleaved, in the program's memory: they stand until its next picture. */
  readonly samples: Uint8Array | Uint16Array | Int16Array;
}

interface Tile {
  readonly region: Region;
  readonly packets: Uint8Array;
  readonly components: readonly TileComponent[];
}

/** Larger ones are left to the other decoder, which is the one that was used for them before. */
const FRAME_BYTES_MAX = 768 * 1024 * 1024;

/**
 * Decodes a JPEG 2000 code stream of the plain reversible kind (see `readReversible`). Null where it is of another kind, or anything in its markers or packets is
 * out of order; nothing has been decoded then.
 */
export function decodeReversible(bytes: Uint8Array): ReversiblePicture | null {
  const read = plainOrNull(() => {
    const codestream = readReversible(bytes);
    const budget = { parts: PARTS_MAX };
    return { codestream, tiles: codestream.tiles.map((tile) => readTile(tile, codestream, budget)) };
  });
  if (read === null) return null;
  const { codestream, tiles } = read;
  const { image, precision, signed } = codestream;
  const width = image.x1 - image.x0;
  const height = image.y1 - image.y0;
  const components = codestream.components.length;
  const bytesMade = width * height * components * sampleBytes(codestream);
  const needed = Math.max(...tiles.map(tileBytes)) + bytesMade;
  if (needed > FRAME_BYTES_MAX) return null;
  const program = reversibleProgram();
  const picture = program.frameAt();
  if (program.reserve(picture + needed) === 0) return null;
  try {
    for (const tile of tiles) decodeTile(program, tile, codestream, picture + aligned(bytesMade));
  } catch (error) {
    discard();
    throw new Failure('dicom.codestream', 'The compressed frame cannot be decoded.', { cause: error });
  }
  releaseLarge(program);
  const length = width * height * components;
  const { buffer } = program.memory;
  const samples = signed
    ? new Int16Array(buffer, picture, length)
    : precision > 8
      ? new Uint16Array(buffer, picture, length)
      : new Uint8Array(buffer, picture, length);
  return { width, height, components, precision, signed, samples };
}

const sampleBytes = ({ precision, signed }: ReversibleCodestream): number =>
  precision > 8 || signed ? 2 : 1;

function readTile(
  { region, packets }: { region: Region; packets: Uint8Array },
  codestream: ReversibleCodestream,
  budget: { parts: number },
): Tile {
  const components = codestream.components.map((coding, index) =>
    layOutComponent(region, coding, index, budget),
  );
  readPackets(
    packets,
    components.flatMap(({ precincts }) => precincts),
    codestream,
  );
  return { region, packets, components };
}

const areaOf = ({ x0, y0, x1, y1 }: Region): number => Math.max(0, x1 - x0) * Math.max(0, y1 - y0);
const aligned = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** Sub-bands, each resolution made of them, one line to work in. */
function tileBytes({ components, region }: Tile): number {
  let bytes = 4 * (region.x1 - region.x0) + 256;
  for (const { resolutions } of components) {
    for (const resolution of resolutions) {
      bytes += aligned(areaOf(resolution) * 4);
      for (const band of resolution.bands) bytes += aligned(areaOf(band) * 4);
    }
  }
  return bytes;
}

function decodeTile(
  program: ReversibleProgram,
  tile: Tile,
  codestream: ReversibleCodestream,
  memory: number,
): void {
  const { region } = tile;
  const spare = memory;
  let free = memory + aligned(4 * (region.x1 - region.x0) + 128);
  const take = (area: number): number => {
    const at = free;
    free += aligned(area * 4);
    return at;
  };
  const planes = tile.components.map((component) =>
    decodeComponent(program, component, tile.packets, { take, spare }),
  );
  const [first = 0, second = 0, third = 0] = planes;
  if (codestream.colours) program.undoColours(first, second, third, areaOf(region));
  for (const [component, plane] of planes.entries()) putPlane(program, plane, component, region, codestream);
}

interface TileMemory {
  readonly take: (area: number) => number;
  readonly spare: number;
}

/** The place of the component's numbers, line after line. */
function decodeComponent(
  program: ReversibleProgram,
  { resolutions }: TileComponent,
  packets: Uint8Array,
  { take, spare }: TileMemory,
): number {
  let low = 0;
  for (const [level, resolution] of resolutions.entries()) {
    const places = decodeBands(program, resolution, packets, take);
    if (level === 0) {
      low = places[0]!;
      continue;
    }
    const { x0, y0, x1, y1 } = resolution;
    const [across = 0, down = 0, both = 0] = places;
    const to = take(areaOf(resolution));
    if (x1 > x0 && y1 > y0) {
      program.composeLevel(low, across, down, both, to, x1 - x0, y1 - y0, x0 & 1, y0 & 1, spare);
    }
    low = to;
  }
  return low;
}

function decodeBands(
  program: ReversibleProgram,
  { bands }: Resolution,
  packets: Uint8Array,
  take: (area: number) => number,
): number[] {
  const memory = new Uint8Array(program.memory.buffer);
  const code = program.codeAt();
  return bands.map((band) => {
    const area = areaOf(band);
    const place = take(area);
    memory.fill(0, place, place + area * 4);
    const stride = (band.x1 - band.x0) * 4;
    for (const { blocks } of band.precincts) {
      for (const { x0, y0, width, height, planes, passes, pieces } of blocks) {
        if (passes === 0) continue;
        let length = 0;
        for (let piece = 0; piece < pieces.length; piece += 2) {
          const at = pieces[piece]!;
          memory.set(packets.subarray(at, at + pieces[piece + 1]!), code + length);
          length += pieces[piece + 1]!;
        }
        const to = place + (y0 - band.y0) * stride + (x0 - band.x0) * 4;
        program.decodeBlock(length, width, height, planes, passes, band.kind, to, stride);
      }
    }
    return place;
  });
}

/** The tile's samples go to their places in the picture. */
function putPlane(
  program: ReversibleProgram,
  plane: number,
  component: number,
  region: Region,
  codestream: ReversibleCodestream,
): void {
  const { image, precision, signed, components } = codestream;
  const bytes = sampleBytes(codestream);
  const step = bytes * components.length;
  const half = 2 ** (precision - 1);
  const width = region.x1 - region.x0;
  for (let y = region.y0; y < region.y1; y += 1) {
    const from = plane + (y - region.y0) * width * 4;
    const pixel = (y - image.y0) * (image.x1 - image.x0) + region.x0 - image.x0;
    const to = program.frameAt() + pixel * step + component * bytes;
    if (signed) program.putSamples(from, to, width, bytes, step, 0, -half, half - 1);
    else program.putSamples(from, to, width, bytes, step, half, 0, 2 * half - 1);
  }
}
