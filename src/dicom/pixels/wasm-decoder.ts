import { readFileSync } from 'node:fs';
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

/** What of the WebAssembly interface is used here; Node has it, its type declarations do not. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    readonly exports: object;
    constructor(module: Module, imports: object);
  }
}

type WasmModule = Readonly<Record<string, unknown>>;
type WasmFactory = (options: object) => Promise<WasmModule>;
type DecoderClass = new () => WasmDecoder;

const load = createRequire(import.meta.url);
const modules = new Map<string, Promise<WasmModule>>();
/** Compiled once; an instance more costs a few milliseconds. */
const compiled = new Map<string, WebAssembly.Module>();
const silent = () => undefined;

/** Loads a codec once, the first time its format occurs. */
export async function loadWasmDecoder(moduleName: string, className: string): Promise<RunDecoder> {
  let loading = modules.get(moduleName);
  if (loading === undefined) {
    loading = newInstance(moduleName);
    modules.set(moduleName, loading);
  }
  const Decoder = (await loading)[className] as DecoderClass;
  return (bytes) => run(moduleName, Decoder, bytes);
}

function newInstance(moduleName: string): Promise<WasmModule> {
  // The packages export the code beside the script: `decodewasm` for `decodewasmjs`, and `wasm`.
  const codeName = moduleName.endsWith('wasmjs') ? moduleName.slice(0, -'js'.length) : `${moduleName}/wasm`;
  const code = compiled.get(moduleName) ?? new WebAssembly.Module(readFileSync(load.resolve(codeName)));
  compiled.set(moduleName, code);
  const instantiateWasm = (imports: object, receive: (made: WebAssembly.Instance) => void) => {
    const made = new WebAssembly.Instance(code, imports);
    receive(made);
    return made.exports;
  };
  return (load(moduleName) as WasmFactory)({ print: silent, printErr: silent, instantiateWasm });
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
    // What is thrown through WebAssembly leaves its stack where it was and its memory taken: some hundred broken frames and the stack would lie over other
    // data, which the next good frame is decoded with. It gets a fresh instance.
    forget(moduleName);
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
