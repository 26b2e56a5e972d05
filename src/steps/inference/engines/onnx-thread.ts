/**
 * A session in a thread of the server. It must never be terminated while it computes: the addon then throws into a dead context and ends
 * the whole process. It ends itself when it is told to and its run is over.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type OnnxData, serveOnnx } from './onnx-serve.ts';

const port = parentPort;
if (port) {
  await serveOnnx(
    {
      say: (reply) =>
        port.postMessage(
          reply,
          reply.kind === 'ran'
            ? Object.values(reply.outputs).map(({ data }) => data.buffer as ArrayBuffer)
            : [],
        ),
      listen: (hear) => port.on('message', hear),
      close: () => port.close(),
    },
    workerData as OnnxData,
  );
}
