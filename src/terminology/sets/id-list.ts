/**
 * A list of ascending numbers as bytes: the distance to the one before, seven bits per byte, the highest bit set while more follow.
 * The concepts under a concept and the concepts with a word are kept in this form; neighbours take one byte each.
 */
export class IdListWriter {
  /** Most words stand in one concept only: nothing is reserved for them. */
  private bytes = NOTHING;
  private length = 0;
  private last = -1;
  /** How many numbers. */
  count = 0;

  /** `id` must be greater than the one before; the same once more is not written. */
  add(id: number): void {
    if (id === this.last) return;
    if (id < this.last) throw new Error('The numbers of an id list must ascend.');
    // The first number stays a number until a second comes.
    if (this.count === 1) this.write(this.last + 1);
    if (this.count > 0) this.write(id - this.last);
    this.last = id;
    this.count += 1;
  }

  toBuffer(): Buffer {
    if (this.count !== 1) return Buffer.from(this.bytes.buffer, 0, this.length);
    const alone = new IdListWriter();
    alone.write(this.last + 1);
    return Buffer.from(alone.bytes.buffer, 0, alone.length);
  }

  private write(distance: number): void {
    if (this.length + 5 > this.bytes.length) this.grow();
    let left = distance;
    for (; left > 127; left >>>= 7) this.bytes[this.length++] = (left & 127) | 128;
    this.bytes[this.length++] = left;
  }

  private grow(): void {
    const larger = new Uint8Array(Math.ceil(this.bytes.length * 1.5) + 8);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

const NOTHING = new Uint8Array(0);

export function writeIds(ids: Iterable<number>): Buffer {
  const writer = new IdListWriter();
  for (const id of ids) writer.add(id);
  return writer.toBuffer();
}

/** The other way round. */
export function* readIds(bytes: Uint8Array): Generator<number> {
  let last = -1;
  for (let at = 0; at < bytes.length; ) {
    let distance = 0;
    let byte = 128;
    for (let shift = 0; byte > 127; shift += 7) {
      byte = bytes[at++] ?? 0;
      distance |= (byte & 127) << shift;
    }
    last += distance;
    yield last;
  }
}

/** Adds every number to a set; the same loop as `readIds`, which costs three times as much as a generator. */
export function addIds(bytes: Uint8Array, set: { add(id: number): void }): void {
  let last = -1;
  let at = 0;
  while (at < bytes.length) {
    let byte = bytes[at++] ?? 0;
    let distance = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      byte = bytes[at++] ?? 0;
      distance |= (byte & 127) << shift;
    }
    last += distance;
    set.add(last);
  }
}
