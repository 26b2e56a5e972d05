/** The protobuf wire format, as far as a walk through an ONNX file needs it. */

/** The length-delimited values of one field of a message. */
export function* fields(message: Buffer, wanted: number): Generator<Buffer, undefined> {
  let at = 0;
  while (at < message.length) {
    const tag = varint(message, at);
    if (tag === null) return;
    at = tag.next;
    const skip = skipOf(message, at, tag.value % 8);
    if (skip === null || skip.end > message.length) return;
    if (tag.value % 8 === 2 && Math.floor(tag.value / 8) === wanted)
      yield message.subarray(skip.start, skip.end);
    at = skip.end;
  }
}

/** Where a value of this wire type starts and ends; null for types that no valid file has. */
function skipOf(message: Buffer, at: number, wireType: number): { start: number; end: number } | null {
  if (wireType === 1) return { start: at, end: at + 8 };
  if (wireType === 5) return { start: at, end: at + 4 };
  const number = varint(message, at);
  if (number === null) return null;
  if (wireType === 0) return { start: at, end: number.next };
  return wireType === 2 ? { start: number.next, end: number.next + number.value } : null;
}

/** A varint has at most 10 bytes; lengths above 2^53 do not occur, so a double holds them. */
function varint(message: Buffer, at: number): { value: number; next: number } | null {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = message[at + i];
    if (byte === undefined) return null;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  return null;
}

/** The first number in a field of a message; null without one. */
export function varintField(message: Buffer, wanted: number): number | null {
  let at = 0;
  while (at < message.length) {
    const tag = varint(message, at);
    if (tag === null) return null;
    const wireType = tag.value % 8;
    if (wireType === 0 && Math.floor(tag.value / 8) === wanted)
      return varint(message, tag.next)?.value ?? null;
    const skip = skipOf(message, tag.next, wireType);
    if (skip === null || skip.end > message.length) return null;
    at = skip.end;
  }
  return null;
}
