import {
  openBits,
  overrun,
  position,
  readDifferences,
  restart,
  TABLE_BYTES,
  TABLES,
} from './_difference-bits';
import { addFromLeft, addPrediction, putLine } from './_prediction';

/** Components of one scan; B.2.3 has no more. */
const PARTS_MAX: usize = 4;
const FRAME: usize = TABLES + PARTS_MAX * TABLE_BYTES;

/** Where the tables of a scan's component stand, see `_difference-bits.ts`. */
export function tableAt(part: usize): usize {
  return TABLES + part * TABLE_BYTES;
}

/** Where memory begins that the caller lays out. */
export function frameAt(): usize {
  return FRAME;
}

/** Grows the memory to `bytes`; false where that is refused. */
export function reserve(bytes: usize): bool {
  const pages = <i32>((bytes + 0xffff) >> 16);
  return pages <= memory.size() || memory.grow(pages - memory.size()) >= 0;
}

/** Where the component of the scan puts its first sample. */
export function setTarget(part: usize, to: usize): void {
  store<usize>(part * sizeof<usize>(), to);
}

/**
 * One scan, whose bytes are from `from` to `end` with eight bytes of ones behind them. `restartLines`: lines from one restart marker to the next;
 * `origin`: the first prediction; `low`: the point transform; samples of `bytes` bytes, `step` bytes apart; `spare`: memory for two lines of
 * each component, four bytes a value. Gives where its reader stands at the end, or 0 where anything is out of order, whatever has been written by then.
 */
export function decodeScan(
  from: usize,
  end: usize,
  parts: usize,
  width: usize,
  height: usize,
  restartLines: usize,
  predictor: i32,
  origin: i32,
  low: i32,
  bytes: usize,
  step: usize,
  spare: usize,
): usize {
  openBits(from, end);
  const line = width * 4;
  // The line in work and the one above change places after each line.
  let lines = spare;
  let before = spare + parts * line;
  for (let row: usize = 0; row < height; row += 1) {
    const first = row % restartLines === 0;
    if (first && row > 0 && !restart()) return 0;
    if (parts === 1 && predictor === 1) {
      // The usual kind: each value is predicted by the one before it, the first of a line by the one above.
      if (!readDifferences(TABLES, lines, width, first ? origin : load<i32>(before), -1)) return 0;
    } else {
      if (!readLine(lines, parts, width)) return 0;
      for (let part: usize = 0; part < parts; part += 1) {
        const here = lines + part * line;
        if (first) addFromLeft(here, line, origin);
        else addPrediction(predictor, here, before + part * line, line);
      }
    }
    if (overrun()) return 0;
    for (let part: usize = 0; part < parts; part += 1) {
      const to = load<usize>(part * sizeof<usize>()) + row * width * step;
      putLine(lines + part * line, width, to, bytes, step, low);
    }
    const swap = lines;
    lines = before;
    before = swap;
  }
  return position();
}

/** Differences of one line; those of several components stand in turn in the scan. False at a code that is none. */
function readLine(lines: usize, parts: usize, width: usize): bool {
  if (parts === 1) return readDifferences(TABLES, lines, width, 0, 0);
  for (let x: usize = 0; x < width; x += 1) {
    for (let part: usize = 0; part < parts; part += 1) {
      if (!readDifferences(tableAt(part), lines + (part * width + x) * 4, 1, 0, 0)) return false;
    }
  }
  return true;
}
