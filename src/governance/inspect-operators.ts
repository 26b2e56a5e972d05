import { readFile } from 'node:fs/promises';
import { customOperators, type GraphFacts, graphFacts } from './model-file/graph-facts.ts';

/** Operator sets, operators and producer of an ONNX file; `custom`: operators that onnxruntime-node cannot have. */
export async function inspectOperators(
  path: string,
): Promise<GraphFacts & { readonly custom: readonly string[] }> {
  const facts = graphFacts(await readFile(path));
  return { ...facts, custom: customOperators(facts) };
}
