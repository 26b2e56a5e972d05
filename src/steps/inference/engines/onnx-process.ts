/**
 * A session in a process of its own, so that a model that crashes, hangs or takes all memory takes nothing with it: the server kills this
 * process and starts another. It ends when the server does (the channel closes).
 */
import { type OnnxData, type OnnxMessage, type OnnxReply, serveOnnx } from './onnx-serve.ts';
import { type InputOnWire, inputFromWire, type OutputOnWire, outputToWire } from './tensor-wire.ts';

export interface OnnxProcessData extends OnnxData {
  /** Where large tensors are put. */
  readonly folder: string;
}

export type OnnxProcessMessage =
  | { readonly inputs: Readonly<Record<string, InputOnWire>>; readonly outputs: readonly string[] }
  | 'end';

export type OnnxProcessReply =
  | Exclude<OnnxReply, { kind: 'ran' }>
  | {
      readonly kind: 'ran';
      readonly outputs: Readonly<Record<string, OutputOnWire>>;
      readonly ms: number;
    };

if (process.send) {
  process.once('disconnect', () => process.exit(0));
  process.once('message', (data) => void serve(data as OnnxProcessData));
}

function serve(data: OnnxProcessData): Promise<void> {
  return serveOnnx(
    {
      say: (reply) => void process.send?.(toWire(reply, data.folder)),
      listen: (hear) =>
        process.on('message', (message) => {
          const arrived = message as OnnxProcessMessage;
          hear(arrived === 'end' ? 'end' : fromWire(arrived));
        }),
      close: () => process.disconnect(),
    },
    data,
  );
}

function fromWire(message: Exclude<OnnxProcessMessage, 'end'>): OnnxMessage {
  return {
    outputs: message.outputs,
    inputs: Object.fromEntries(
      Object.entries(message.inputs).map(([name, tensor]) => [name, inputFromWire(tensor)]),
    ),
  };
}

function toWire(reply: OnnxReply, folder: string): OnnxProcessReply {
  if (reply.kind !== 'ran') return reply;
  try {
    return {
      ...reply,
      outputs: Object.fromEntries(
        Object.entries(reply.outputs).map(([name, tensor]) => [name, outputToWire(tensor, folder)]),
      ),
    };
  } catch (error) {
    return { kind: 'failed', message: String(error) };
  }
}
