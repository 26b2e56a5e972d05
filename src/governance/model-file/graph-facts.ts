import { fields, varintField } from './protobuf-fields.ts';

/** What an ONNX file says of itself that its inputs and outputs do not (onnx.proto: ModelProto, GraphProto, NodeProto). */
export interface GraphFacts {
  readonly irVersion: number;
  readonly producer: string;
  /** Operator sets by domain; `ai.onnx` for the empty one. */
  readonly opsets: Readonly<Record<string, number>>;
  /** `domain:Operator` (without a domain for ONNX's own) → how often, graph and subgraphs of it not counted. */
  readonly operators: Readonly<Record<string, number>>;
}

/** Domains whose operators onnxruntime-node has. Functions that the file itself defines are looked up in it. */
const KNOWN_DOMAINS: ReadonlySet<string> = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'com.microsoft',
  'com.microsoft.nchwc',
  'ai.onnx.preview.training',
]);

/** ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8; NodeProto: op_type 4, domain 7; OperatorSetIdProto: 1, 2. */
export function graphFacts(model: Buffer): GraphFacts {
  const text = (message: Buffer, field: number): string =>
    fields(message, field).next().value?.toString('utf8') ?? '';
  const opsets = [...fields(model, 8)].map(
    (opset) => [text(opset, 1) || 'ai.onnx', varintField(opset, 2) ?? 0] as const,
  );
  const operators = new Map<string, number>();
  for (const graph of fields(model, 7)) {
    for (const node of fields(graph, 1)) {
      const domain = text(node, 7);
      const name = `${domain === '' || domain === 'ai.onnx' ? '' : `${domain}:`}${text(node, 4)}`;
      operators.set(name, (operators.get(name) ?? 0) + 1);
    }
  }
  return {
    irVersion: varintField(model, 1) ?? 0,
    producer: text(model, 2),
    opsets: Object.fromEntries(opsets),
    operators: Object.fromEntries([...operators].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Operators of domains that onnxruntime-node does not have, all at once; the runtime names only the first. */
export const customOperators = ({ operators }: GraphFacts): readonly string[] =>
  Object.keys(operators).filter((name) => {
    const colon = name.lastIndexOf(':');
    return colon > 0 && !KNOWN_DOMAINS.has(name.slice(0, colon));
  });
