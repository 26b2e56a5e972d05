/** A process that opens one model to look at it: a file on which ONNX Runtime crashes takes only this process with it. */
import { inspectAndRelease, type ModelFile, type ModelGraph } from '../inspect-model.ts';

export type InspectReply = { readonly graph: ModelGraph } | { readonly error: string };

if (process.send) {
  process.once('disconnect', () => process.exit(0));
  process.once('message', (file) => {
    inspectAndRelease(file as ModelFile).then(
      (graph) => say({ graph }),
      (error: unknown) => say({ error: error instanceof Error ? error.message : String(error) }),
    );
  });
}

/** Ends once the reply has been handed over. */
function say(reply: InspectReply): void {
  process.send?.(reply, () => process.disconnect());
}
