import type { FailureIssue } from '../../kernel/errors.ts';

/** Turns what onnxruntime says of a file that does not load into words for its owner, without paths of this machine. */
export function loadFault(error: unknown): FailureIssue {
  const message = error instanceof Error ? error.message : String(error);
  const at = '/file/path';
  const operator = /error:\s*(\S+?)\(-?\d+\) is not a registered function\/op/i.exec(message)?.[1];
  if (operator !== undefined) {
    return {
      at,
      text: `needs the operator ${operator}, which onnxruntime-node does not have: export without custom operators`,
    };
  }
  if (/protobuf parsing failed/i.test(message)) return { at, text: 'is not an ONNX file, or is cut off' };
  if (/external data/i.test(message)) return { at, text: 'its external weights are missing or do not fit' };
  if (/opset/i.test(message)) return { at, text: 'uses an opset that onnxruntime-node does not support' };
  return { at, text: `does not load: ${message.replaceAll(PATHS, '…').slice(0, MESSAGE_LENGTH_MAX)}` };
}

const PATHS = /(?:[A-Za-z]:)?(?:[\\/][^\s"':\\/]+)+/g;

/** Longer messages of the runtime are stack-like and help nobody. */
const MESSAGE_LENGTH_MAX = 300;
