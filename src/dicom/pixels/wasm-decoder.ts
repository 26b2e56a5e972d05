import { createRequire } from 'node:module';
import { Failure } from '../../kernel/errors.ts';

/** What the `@cornerstonejs/codec-*` packages give: an Emscripten class per format, with buffers in its own memory. */
export interface WasmDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  getDecodedBuffer(): Uint8Array;
  decode(): void;
  delete(): void;
  getFrameInfo(): WasmFrameInfo;
  getInterleaveMode?(): number;
}

export interface WasmFrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned?: boolean;
}

type WasmModule = Readonly<Record<string, unknown>>;
type WasmFactory = (options: object) => Promise<WasmModule>;
type DecoderClass = new () => WasmDecoder;

const load = createRequire(import.meta.url);
const modules = new Map<string, Promise<WasmModule>>();
const silent = () => undefined;

/** Loads a codec once, the first time its format occurs. */
export async function loadWasmDecoder(moduleName: string, className: string): Promise<RunDecoder> {
  let loading = modules.get(moduleName);
  if (loading === undefined) {
    loading = (load(moduleName) as WasmFactory)({ print: silent, printErr: silent });
    modules.set(moduleName, loading);
  }
  const Decoder = (await loading)[className] as DecoderClass;
  return (bytes) => run(moduleName, Decoder, bytes);
}

/** `decoded` lies in the codec's own memory and stands until its next frame. */
export type RunDecoder = (bytes: Uint8Array) => {
  info: WasmFrameInfo;
  interleaveMode: number;
  decoded: Uint8Array;
};

/** The decoder of each codec's last frame, which the caller may still be reading. */
const last = new Map<string, WasmDecoder>();

function run(moduleName: string, Decoder: DecoderClass, bytes: Uint8Array): ReturnType<RunDecoder> {
  release(moduleName);
  try {
    const decoder = new Decoder();
    last.set(moduleName, decoder);
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const info = decoder.getFrameInfo();
    const interleaveMode = decoder.getInterleaveMode?.() ?? 2;
    return { info, interleaveMode, decoded: decoder.getDecodedBuffer() };
  } catch (error) {
    // A trap inside WebAssembly leaves its memory in an unknown state: the next frame gets a fresh instance.
    if (error instanceof Error && error.name === 'RuntimeError') forget(moduleName);
    throw new Failure('dicom.codestream', 'The compressed frame cannot be decoded.', { cause: error });
  }
}

function release(moduleName: string): void {
  const decoder = last.get(moduleName);
  last.delete(moduleName);
  try {
    decoder?.delete();
  } catch {
    forget(moduleName);
  }
}

function forget(moduleName: string): void {
  modules.delete(moduleName);
  last.delete(moduleName);
}

/** The decoded bytes as samples of the width that the precision needs. */
export function samplesOf(
  decoded: Uint8Array,
  precision: number,
  signed: boolean,
): Uint8Array | Uint16Array | Int16Array {
  if (precision <= 8) return decoded;
  const length = decoded.length >>> 1;
  return signed
    ? new Int16Array(decoded.buffer, decoded.byteOffset, length)
    : new Uint16Array(decoded.buffer, decoded.byteOffset, length);
}
