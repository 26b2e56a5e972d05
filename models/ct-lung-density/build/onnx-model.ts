/**
 * Writes ONNX models: just enough of the public schema (onnx.proto: ModelProto, GraphProto, NodeProto, AttributeProto,
 * TensorProto, ValueInfoProto; the numbers below are its field numbers). A graph is written down by calling `op` once per
 * node; a node's outputs are named by a counter shared with all subgraphs, so names are unique in the whole model, which
 * Scan and Loop bodies need since they may use any value of the graphs around them.
 */
import { bytes, concat, type Field, float, message, text, varint } from './protobuf.ts';

/** TensorProto.DataType. */
export const TYPE = { float: 1, uint8: 2, int16: 5, int32: 6, int64: 7, bool: 9, double: 11 } as const;
export type TensorType = keyof typeof TYPE;

/** A fixed extent, or the name of one that each run decides. */
export type Extent = number | string;

export interface Declared {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly Extent[];
}

/** An integer, a float (`{ float }`), a text, integers, or a subgraph. */
export type Attribute = number | string | { readonly float: number } | readonly number[] | Graph;

export interface ModelHeader {
  readonly name: string;
  readonly producer: string;
  readonly version: string;
  readonly doc: string;
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** ONNX 1.12; the first that pairs with opset 17. */
const IR_VERSION = 8;

/** ModelProto bytes of `graph`. The same graph always gives the same bytes. */
export function encodeModel(graph: Graph, header: ModelHeader): Uint8Array {
  const metadata = Object.entries(header.metadata).map(([key, value]) =>
    message(14, [text(1, key), text(2, value)]),
  );
  return concat([
    varint(1, IR_VERSION),
    text(2, header.producer),
    text(3, header.version),
    text(6, header.doc),
    message(7, graph.fields(header.name)),
    message(8, [text(1, ''), varint(2, header.opset)]),
    ...metadata,
  ]);
}

/** A graph under construction. Values are referred to by name. */
export class Graph {
  private readonly nodes: Node[] = [];
  private readonly inputs: Declared[] = [];
  private readonly outputs: Declared[] = [];
  private readonly isRoot: boolean;
  /** What all graphs of a model have in common. */
  private readonly model: Model;

  /** `parent`: a body may use the values of the graph around it and shares its constants. */
  constructor(parent?: Graph) {
    this.isRoot = parent === undefined;
    this.model = parent?.model ?? { names: 0, constants: new Map(), constantFields: [], renamed: new Map() };
  }

  input(declared: Declared): string {
    this.inputs.push(declared);
    return declared.name;
  }

  /** An input with a fresh name, for bodies. */
  bodyInput(type: TensorType, shape: readonly Extent[]): string {
    return this.input({ name: this.fresh(), type, shape });
  }

  /** Makes `value` an output of this graph under its declared name. A value can have one such name. */
  output(value: string, declared: Declared): void {
    this.model.renamed.set(value, declared.name);
    this.outputs.push(declared);
  }

  /** Makes `value` an output of a body, in order. It must be made in the body; a second time it is copied. */
  bodyOutput(value: string, type: TensorType, shape: readonly Extent[]): void {
    const taken = this.outputs.some((output) => output.name === value);
    this.outputs.push({ name: taken ? this.op('Identity', [value]) : value, type, shape });
  }

  /** One node with one output, whose name is returned. */
  op(type: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.ops(type, inputs, 1, attributes)[0] as string;
  }

  /** One node with `count` outputs. */
  ops(
    type: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, Attribute>>,
  ): string[] {
    const outputs = Array.from({ length: count }, () => this.fresh());
    this.nodes.push({ type, inputs, outputs, attributes });
    return outputs;
  }

  /** A constant tensor; `shape` [] is a scalar. Equal constants are stored once. */
  constant(type: TensorType, values: readonly number[], shape: readonly number[] = []): string {
    const key = `${type}:${shape.join('x')}:${values.join(',')}`;
    const known = this.model.constants.get(key);
    if (known !== undefined) return known;
    const name = `c${this.model.constants.size}`;
    this.model.constants.set(key, name);
    const dims = shape.map((extent) => varint(1, extent));
    this.model.constantFields.push(
      message(5, [...dims, varint(2, TYPE[type]), text(8, name), bytes(9, rawData(type, values))]),
    );
    return name;
  }

  /** GraphProto fields. Constants live in the outermost graph. */
  fields(name: string): Field[] {
    return [
      ...this.nodes.map((node) => message(1, this.nodeFields(node))),
      text(2, name),
      ...(this.isRoot ? this.model.constantFields : []),
      ...this.inputs.map((declared) => valueInfo(11, declared)),
      ...this.outputs.map((declared) => valueInfo(12, declared)),
    ];
  }

  private nodeFields({ type, inputs, outputs, attributes }: Node): Field[] {
    const called = (name: string) => this.model.renamed.get(name) ?? name;
    return [
      ...inputs.map((name) => text(1, called(name))),
      ...outputs.map((name) => text(2, called(name))),
      text(4, type),
      ...Object.entries(attributes).map(([name, value]) => message(5, attribute(name, value))),
    ];
  }

  private fresh(): string {
    this.model.names += 1;
    return `v${this.model.names}`;
  }
}

interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

interface Model {
  names: number;
  readonly constants: Map<string, string>;
  readonly constantFields: Field[];
  readonly renamed: Map<string, string>;
}

/** AttributeProto fields; 20 is the kind. */
function attribute(name: string, value: Attribute): Field[] {
  if (typeof value === 'number') return [text(1, name), varint(3, value), varint(20, 2)];
  if (typeof value === 'string') return [text(1, name), text(4, value), varint(20, 3)];
  if (value instanceof Graph) return [text(1, name), message(6, value.fields(name)), varint(20, 5)];
  if ('float' in value) return [text(1, name), float(2, value.float), varint(20, 1)];
  return [text(1, name), ...value.map((item) => varint(8, item)), varint(20, 7)];
}

function valueInfo(field: number, declared: Declared): Field {
  const dims = declared.shape.map((extent) =>
    message(1, [typeof extent === 'number' ? varint(1, extent) : text(2, extent)]),
  );
  const tensor = message(1, [varint(1, TYPE[declared.type]), message(2, dims)]);
  return message(field, [text(1, declared.name), message(2, [tensor])]);
}

function rawData(type: TensorType, values: readonly number[]): Uint8Array {
  const size = { float: 4, uint8: 1, int16: 2, int32: 4, int64: 8, bool: 1, double: 8 }[type];
  const view = new DataView(new ArrayBuffer(values.length * size));
  values.forEach((value, index) => {
    const at = index * size;
    if (type === 'float') view.setFloat32(at, value, true);
    else if (type === 'double') view.setFloat64(at, value, true);
    else if (type === 'int64') view.setBigInt64(at, BigInt(value), true);
    else if (type === 'int32') view.setInt32(at, value, true);
    else if (type === 'int16') view.setInt16(at, value, true);
    else view.setUint8(at, value);
  });
  return new Uint8Array(view.buffer);
}
