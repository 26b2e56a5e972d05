import { fields } from './protobuf-fields.ts';

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
