import { layOutStates } from './_arithmetic-states';
import { CODE, CODE_BYTES_MAX, FRAME } from './_block-memory';
import { layOutContexts } from './_context-tables';

export { decodeBlock } from './_code-block';
export { putSamples, undoColours } from './_samples';
export { composeLevel } from './_wavelet';

/** Where the caller puts the bytes of a code-block, at most `codeBytesMax`. */
export function codeAt(): usize {
  return CODE;
}

export function codeBytesMax(): usize {
  return CODE_BYTES_MAX;
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

reserve(FRAME);
layOutStates();
layOutContexts();
