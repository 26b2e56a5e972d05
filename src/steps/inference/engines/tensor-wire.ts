/**
 * Tensors between this process and the process of a model. Small ones go through the channel; a volume goes through a file in memory
 * (`/dev/shm` where there is one), since a channel would copy it three times on the main thread.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type InputTensor, type OutputArray, type OutputTensor, valuesIn } from './engine.ts';

/** Bytes of a tensor that still go through the channel: scores do. A radiograph (0.2 MB) takes 1 ms longer that way than by a file. */
export const CHANNEL_BYTES_MAX = 16 * 1024;

/** A file in memory of so many bytes is written faster (0.1 ms) than another thread is asked to. */
const WRITE_NOW_BYTES_MAX = 1024 * 1024;

/** Bytes themselves, or the name of the file that holds them; whoever reads the file removes it. */
type Carried = { readonly bytes: Uint8Array } | { readonly file: string };

export type InputOnWire = Pick<InputTensor, 'dtype' | 'dims'> & Carried;
export type OutputOnWire = Pick<OutputTensor, 'dims'> & Carried & { readonly type: ArrayName };

const ARRAYS = {
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
} as const;
type ArrayName = keyof typeof ARRAYS;

const VALUE_BYTES = { float32: 4, float16: 2, int16: 2, uint8: 1 } as const;

let files = 0;
const nextFile = (folder: string): string => join(folder, `${process.pid}-${++files}.tensor`);

/** In the server: writes off the main thread. */
export async function inputToWire(tensor: InputTensor, folder: string): Promise<InputOnWire> {
  const { dtype, dims } = tensor;
  const view = new Uint8Array(tensor.bytes, 0, valuesIn(dims) * VALUE_BYTES[dtype]);
  // The channel takes no shared memory, so what lies there is copied.
  if (view.byteLength <= CHANNEL_BYTES_MAX)
    return { dtype, dims, bytes: tensor.bytes instanceof SharedArrayBuffer ? view.slice() : view };
  const file = nextFile(folder);
  if (view.byteLength <= WRITE_NOW_BYTES_MAX) {
    writeFileSync(file, view, { flag: 'wx', mode: 0o600 });
    return { dtype, dims, file };
  }
  const handle = await open(file, 'wx', 0o600);
  try {
    for (let at = 0; at < view.byteLength; )
      at += (await handle.write(view, at, Math.min(WRITE_BYTES_MAX, view.byteLength - at))).bytesWritten;
  } finally {
    await handle.close();
  }
  return { dtype, dims, file };
}

/** Linux writes at most 2 GiB at once. */
const WRITE_BYTES_MAX = 1024 * 1024 * 1024;

/** In the model's process: nothing else is waiting there. */
export function inputFromWire(wire: InputOnWire): InputTensor {
  const { dtype, dims } = wire;
  const bytes = 'file' in wire ? takeFile(wire.file) : wire.bytes;
  // A view into the message may start where no float may.
  const aligned = bytes.byteOffset === 0 && bytes.buffer instanceof ArrayBuffer;
  return { dtype, dims, bytes: aligned ? bytes.buffer : (bytes.slice().buffer as ArrayBuffer) };
}

function takeFile(file: string): Uint8Array<ArrayBuffer> {
  const handle = openSync(file, 'r');
  try {
    const bytes = new Uint8Array(fstatSync(handle).size);
    for (let at = 0; at < bytes.byteLength; ) {
      const read = readSync(handle, bytes, at, Math.min(WRITE_BYTES_MAX, bytes.byteLength - at), at);
      if (read === 0) throw new Error('the input was cut short');
      at += read;
    }
    return bytes;
  } finally {
    closeSync(handle);
    rmSync(file, { force: true });
  }
}

export function outputToWire({ dims, data }: OutputTensor, folder: string): OutputOnWire {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const type = data.constructor.name as ArrayName;
  if (bytes.byteLength <= CHANNEL_BYTES_MAX) return { dims, type, bytes };
  const file = nextFile(folder);
  writeFileSync(file, bytes, { flag: 'wx', mode: 0o600 });
  return { dims, type, file };
}

/** In the server: reads off the main thread, into memory that is aligned for its type. */
export async function outputFromWire(wire: OutputOnWire): Promise<OutputTensor> {
  const bytes = 'file' in wire ? await readAway(wire.file) : wire.bytes.slice();
  const values = new ARRAYS[wire.type](bytes.buffer as ArrayBuffer) as OutputArray;
  return { dims: wire.dims, data: values };
}

async function readAway(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const handle = await open(file, 'r');
  try {
    const bytes = new Uint8Array((await handle.stat()).size);
    for (let at = 0; at < bytes.byteLength; ) {
      const { bytesRead } = await handle.read(
        bytes,
        at,
        Math.min(WRITE_BYTES_MAX, bytes.byteLength - at),
        at,
      );
      if (bytesRead === 0) throw new Error('the output of the model was cut short');
      at += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
    await rm(file, { force: true });
  }
}
