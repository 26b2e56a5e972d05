/**
 * Names of the files with external weights that an ONNX file points to. A walk over the protobuf wire format, since nothing
 * else is wanted from it: ModelProto.graph (7) → GraphProto.initializer (5) → TensorProto.external_data (13) →
 * StringStringEntryProto key (1), value (2); see onnx.proto and docs/ExternalData.md of ONNX. Weights inside nodes and
 * subgraphs are not looked at. Bytes that are no protobuf give what was found up to there: the runtime will refuse the file.
 */
export function externalData(model: Buffer): readonly string[] {
  const found = new Set<string>();
  for (const graph of fields(model, 7)) {
    for (const tensor of fields(graph, 5)) {
      for (const entry of fields(tensor, 13)) {
        if (first(entry, 1) === 'location') found.add(first(entry, 2));
      }
    }
  }
  return [...found];
}

const first = (message: Buffer, field: number): string =>
  fields(message, field).next().value?.toString('utf8') ?? '';

/** The length-delimited values of one field of a message. */
function* fields(message: Buffer, wanted: number): Generator<Buffer, undefined> {
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
