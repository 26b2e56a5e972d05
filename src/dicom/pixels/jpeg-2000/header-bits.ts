/** Bits of a packet header (ITU-T T.800 B.10.1): after a byte of ones, the next has only seven. Throws RangeError at the end. */
export class HeaderBits {
  private byte = 0;
  private left = 0;

  private readonly bytes: Uint8Array;
  private at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  bit(): number {
    if (this.left === 0) this.next();
    this.left -= 1;
    return (this.byte >> this.left) & 1;
  }

  bits(count: number): number {
    let value = 0;
    for (let done = 0; done < count; done += 1) value = value * 2 + this.bit();
    return value;
  }

  /** The place after the header, which ends with a whole byte. */
  end(): number {
    if (this.byte === 0xff) this.next();
    return this.at;
  }

  private next(): void {
    if (this.at >= this.bytes.length) throw new RangeError('packet header');
    this.left = this.byte === 0xff ? 7 : 8;
    this.byte = this.bytes[this.at]!;
    this.at += 1;
    // A stuffed bit is zero; another is a marker within the header.
    if (this.left === 7 && this.byte > 0x7f) throw new RangeError('packet header');
  }
}
