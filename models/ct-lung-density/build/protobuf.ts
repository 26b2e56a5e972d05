/**
 * The few pieces of the protocol buffer wire format that an ONNX file needs (protobuf encoding guide: varint, 32-bit and
 * length-delimited fields). A message is an array of encoded fields, written in the order given, so equal input gives
 * equal bytes.
 */
export type Field = Uint8Array;

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/** `field` as a varint: int32, int64, bool or enum. Negative numbers take ten bytes, as the format demands. */
export function varint(field: number, value: number | bigint): Field {
  return concat([encodeVarint((field << 3) | VARINT), encodeVarint(BigInt(value))]);
}

/** `field` as a 32-bit float, little endian. */
export function float(field: number, value: number): Field {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([encodeVarint((field << 3) | FIXED_32), bytes]);
}

/** `field` as UTF-8 text. */
export function text(field: number, value: string): Field {
  return bytes(field, new TextEncoder().encode(value));
}

/** `field` as raw bytes. */
export function bytes(field: number, value: Uint8Array): Field {
  return concat([encodeVarint((field << 3) | LENGTH_DELIMITED), encodeVarint(value.length), value]);
}

/** `field` as an embedded message. */
export function message(field: number, fields: readonly Field[]): Field {
  return bytes(field, concat(fields));
}

/** Bytes of a whole message. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function encodeVarint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}
