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
  return (bytes) => run(new Decoder(), bytes, moduleName);
}

export type RunDecoder = (bytes: Uint8Array) => {
  info: WasmFrameInfo;
  interleaveMode: number;
  decoded: Uint8Array;
};

/** Decodes one frame. The result is copied, because the codec's memory is freed and may move. */
function run(decoder: WasmDecoder, bytes: Uint8Array, moduleName: string): ReturnType<RunDecoder> {
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const decoded = decoder.getDecodedBuffer().slice();
    return { info: decoder.getFrameInfo(), interleaveMode: decoder.getInterleaveMode?.() ?? 2, decoded };
  } catch (error) {
    // A trap inside WebAssembly leaves its memory in an unknown state: the next frame gets a fresh instance.
    if (error instanceof Error && error.name === 'RuntimeError') modules.delete(moduleName);
    throw new Failure('dicom.codestream', 'The compressed frame cannot be decoded.', { cause: error });
  } finally {
    try {
      decoder.delete();
    } catch {
      modules.delete(moduleName);
    }
  }
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
