import { Failure } from '../../kernel/errors.ts';
import type { EncapsulatedPixelData, Fragment } from '../pixel-data.ts';

/**
 * The compressed bytes of `count` frames from `first` on (PS3.5 A.4): one fragment is not copied, several are joined. Which fragments make a
 * frame, the basic offset table says; without one, either each frame is one fragment, or a frame begins where a
 * fragment begins with a start marker. Throws `dicom.pixel-size` when no way gives `frames` frames.
 */
export function frameBytes(
  pixelData: EncapsulatedPixelData,
  frames: number,
  first: number,
  count: number,
): Buffer[] {
  if (pixelData.truncated) throw new Failure('dicom.truncated', 'The file ends inside its pixel data.');
  const wanted = groupFragments(pixelData, frames).slice(first, first + count);
  return wanted.map((group) => join(pixelData.source, group));
}

function groupFragments(pixelData: EncapsulatedPixelData, frames: number): Fragment[][] {
  const { fragments, offsets } = pixelData;
  if (fragments.length === 0) throw new Failure('dicom.no-pixels', 'The pixel data element is empty.');
  if (frames === 1) return [[...fragments]];
  if (fragments.length === frames) return fragments.map((fragment) => [fragment]);
  const groups = offsets.length === frames ? groupByOffset(pixelData) : groupByMarker(pixelData);
  if (groups.length !== frames) {
    throw new Failure('dicom.pixel-size', 'The number of compressed frames is not NumberOfFrames.');
  }
  return groups;
}

function groupByOffset({ fragments, offsets }: EncapsulatedPixelData): Fragment[][] {
  const starts = new Set(offsets);
  // Offsets count from the item tag of the first fragment, eight bytes before its data.
  const base = (fragments[0]?.offset ?? 0) - 8;
  return groupWhere(fragments, (fragment) => starts.has(fragment.offset - 8 - base));
}

/** JPEG and JPEG-LS begin with FFD8, JPEG 2000 with FF4F; an RLE frame is always one fragment (PS3.5 G.4). */
function groupByMarker({ source, fragments }: EncapsulatedPixelData): Fragment[][] {
  return groupWhere(fragments, ({ offset, length }) => {
    const marker = length < 2 ? 0 : source.readUInt16BE(offset);
    return marker === 0xffd8 || marker === 0xff4f;
  });
}

function groupWhere(fragments: readonly Fragment[], begins: (fragment: Fragment) => boolean): Fragment[][] {
  const groups: Fragment[][] = [];
  for (const fragment of fragments) {
    const last = groups.at(-1);
    if (last === undefined || begins(fragment)) groups.push([fragment]);
    else last.push(fragment);
  }
  return groups;
}

function join(source: Buffer, group: readonly Fragment[]): Buffer {
  const parts = group.map(({ offset, length }) => source.subarray(offset, offset + length));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}
