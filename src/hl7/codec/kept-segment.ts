/** Of a longer field the beginning is kept: more than anybody reads on a page. */
export const FIELD_CHARS_KEPT = 8 * 1024;
/** Of all fields of a segment together: a hundred long ones must not become megabytes. */
export const SEGMENT_CHARS_KEPT = 64 * 1024;
/** The segment's name and its fields; of those behind nothing is kept. No segment of the standard has half of them. */
export const CELLS_KEPT = 256;

/** A segment as canonical text that comes in parts: each field up to a limit, in its place. */
export class KeptSegment {
  /** Field → characters it has, of those of which only the beginning is kept. */
  readonly cut = new Map<number, number>();
  private readonly cells: string[] = [''];
  private left = SEGMENT_CHARS_KEPT;
  private length = 0;

  /** Goes on with the text. Separators are part of it, so that what follows a field that is cut keeps its number. */
  add(text: string): void {
    for (let begin = 0; ; ) {
      const bar = text.indexOf('|', begin);
      this.addToCell(text, begin, bar < 0 ? text.length : bar);
      if (bar < 0 || this.cells.length >= CELLS_KEPT) return;
      this.cells.push('');
      this.length = 0;
      begin = bar + 1;
    }
  }

  get text(): string {
    return this.cells.join('|');
  }

  private addToCell(text: string, begin: number, end: number): void {
    const at = this.cells.length - 1;
    const room = Math.min(FIELD_CHARS_KEPT - this.cells[at]!.length, this.left, end - begin);
    this.cells[at] += text.slice(begin, begin + room);
    this.left -= room;
    this.length += end - begin;
    // MSH-1 is the first separator itself.
    if (room < end - begin) this.cut.set(this.cells[0] === 'MSH' ? at + 1 : at, this.length);
  }
}
