import type { InputTensor, OutputArray } from './engine.ts';
import { float16Value } from './float16.ts';

/** Names of tensor types in the Open Inference Protocol v2 ("Tensor Data Types"). BYTES is text and no result. */
export const OIP_DATATYPES = { float32: 'FP32', float16: 'FP16', int16: 'INT16', uint8: 'UINT8' } as const;

interface Reader {
  readonly bytes: number;
  read(view: DataView, at: number): number;
  array(length: number): OutputArray;
}

const READERS: Readonly<Record<string, Reader>> = {
  FP32: { bytes: 4, read: (view, at) => view.getFloat32(at, true), array: (n) => new Float32Array(n) },
  FP64: { bytes: 8, read: (view, at) => view.getFloat64(at, true), array: (n) => new Float64Array(n) },
  FP16: {
    bytes: 2,
    read: (view, at) => float16Value(view.getUint16(at, true)),
    array: (n) => new Float32Array(n),
  },
  INT8: { bytes: 1, read: (view, at) => view.getInt8(at), array: (n) => new Int8Array(n) },
  INT16: { bytes: 2, read: (view, at) => view.getInt16(at, true), array: (n) => new Int16Array(n) },
  INT32: { bytes: 4, read: (view, at) => view.getInt32(at, true), array: (n) => new Int32Array(n) },
  INT64: {
    bytes: 8,
    read: (view, at) => Number(view.getBigInt64(at, true)),
    array: (n) => new Float64Array(n),
  },
  UINT8: { bytes: 1, read: (view, at) => view.getUint8(at), array: (n) => new Uint8Array(n) },
  UINT16: { bytes: 2, read: (view, at) => view.getUint16(at, true), array: (n) => new Uint16Array(n) },
  UINT32: { bytes: 4, read: (view, at) => view.getUint32(at, true), array: (n) => new Uint32Array(n) },
  UINT64: {
    bytes: 8,
    read: (view, at) => Number(view.getBigUint64(at, true)),
    array: (n) => new Float64Array(n),
  },
  BOOL: { bytes: 1, read: (view, at) => view.getUint8(at), array: (n) => new Uint8Array(n) },
};

/** Numbers of a binary tensor (little endian, row-major, without padding); null when type or length do not fit. */
export function numbersOfBytes(
  datatype: string,
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
): OutputArray | null {
  const reader = READERS[datatype];
  if (!reader || bytes.byteLength !== size * reader.bytes) return null;
  const values = reader.array(size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < size; i++) values[i] = reader.read(view, i * reader.bytes);
  return values;
}

/** Numbers of a JSON tensor, kept as the type that was named: what another engine gives for the same model. */
export function numbersOfJson(datatype: string, numbers: readonly number[]): OutputArray {
  const values = READERS[datatype]?.array(numbers.length) ?? new Float64Array(numbers.length);
  values.set(numbers);
  return values;
}

/** The values of an input as numbers, for JSON. */
export function numbersOfInput({ dtype, bytes }: InputTensor, size: number): number[] {
  if (dtype === 'int16') return Array.from(new Int16Array(bytes, 0, size));
  if (dtype === 'uint8') return Array.from(new Uint8Array(bytes, 0, size));
  return Array.from(new Float32Array(bytes, 0, size));
}
