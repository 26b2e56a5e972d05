/** A value for each of the 65,536 that two bytes can hold, up to four bytes each. */
const TABLE: usize = 1024;
/** 16,384 cells of one or two bytes, then what they become. */
const CELLS: usize = TABLE + 65536 * 4;
const CELLS_MAX: usize = 16384;
const VALUES: usize = CELLS + CELLS_MAX * 2;
const END: usize = VALUES + CELLS_MAX * 4;

export function tableAt(): usize {
  return TABLE;
}

export function cellsAt(): usize {
  return CELLS;
}

export function cellsMax(): usize {
  return CELLS_MAX;
}

export function valuesAt(): usize {
  return VALUES;
}

/** `count` cells of `cell` bytes are looked up in a table whose values have `size` bytes. */
export function lookUp(count: usize, cell: usize, size: usize): void {
  if (cell === 1) {
    if (size === 1) each<u8, u8>(count);
    else if (size === 2) each<u8, u16>(count);
    else each<u8, u32>(count);
  } else if (size === 1) each<u16, u8>(count);
  else if (size === 2) each<u16, u16>(count);
  else each<u16, u32>(count);
}

function each<C, V>(count: usize): void {
  const stop = CELLS + count * sizeof<C>();
  let to = VALUES;
  for (let at = CELLS; at < stop; at += sizeof<C>(), to += sizeof<V>()) {
    store<V>(to, load<V>(TABLE + <usize>load<C>(at) * sizeof<V>()));
  }
}

memory.grow(<i32>((END + 0xffff) >> 16) - memory.size());
