import type { FailureIssue } from '../kernel/errors.ts';
import { channelsOf } from './check-manifest.ts';
import type { GraphTensor, ModelGraph } from './inspect-model.ts';
import type { DetectionOutput, Manifest, ModelInput, ModelOutput } from './manifest.ts';
import { finalSize } from './pixel-rules-combined.ts';

/** Compares what a manifest says of its graph with the graph. Dimensions that the graph leaves open are not judged. */
export function checkGraph(manifest: Manifest, graph: ModelGraph): readonly FailureIssue[] {
  return [
    ...manifest.inputs.flatMap((input, i) => inputFaults(manifest, input, `/inputs/${i}`, graph)),
    ...graph.inputs
      .filter((tensor) => !manifest.inputs.some((input) => input.name === tensor.name))
      .map((tensor) => ({ at: '/inputs', text: `the graph also needs the input "${tensor.name}"` })),
    ...manifest.outputs.flatMap((output, i) => outputFaults(output, `/outputs/${i}`, graph)),
  ];
}

function inputFaults(manifest: Manifest, input: ModelInput, at: string, graph: ModelGraph): FailureIssue[] {
  const tensor = graph.inputs.find(({ name }) => name === input.name);
  if (tensor === undefined)
    return [{ at: `${at}/name`, text: `the graph has no such input; it has ${names(graph.inputs)}` }];
  const faults: FailureIssue[] = [];
  if (tensor.dtype !== input.dtype) {
    faults.push({ at: `${at}/dtype`, text: `the graph takes ${tensor.dtype ?? 'no tensor'}` });
  }
  if (input.gives === 'spacing_mm') {
    const width = widthOf(tensor);
    if (width !== null && width !== 3)
      faults.push({ at, text: `the graph takes ${width} numbers, spacing_mm gives 3` });
    return faults;
  }
  return [...faults, ...layoutFaults(manifest, input, at, tensor)];
}

function layoutFaults(
  manifest: Manifest,
  input: ModelInput,
  at: string,
  tensor: GraphTensor,
): FailureIssue[] {
  const axes = input.layout ?? 'NCHW';
  if (tensor.dims.length !== axes.length) {
    const text = `${axes} has ${axes.length} axes, the graph takes ${tensor.dims.length}`;
    return [{ at: `${at}/layout`, text }];
  }
  const given: Record<string, number | null> = {
    N: 1,
    C: channelsOf(manifest),
    ...finalSize(manifest.pixels),
  };
  return [...axes].flatMap((axis, i) => {
    const needs = tensor.dims[i] ?? null;
    const size = given[axis] ?? null;
    // How many slices a study has, the gate's rule `slices` may say.
    if (needs === null || size === needs || (axis === 'D' && size === null)) return [];
    const gives = size === null ? 'pixels leave it to the study' : `pixels give ${size}`;
    return [{ at: `${at}/layout`, text: `the graph takes ${needs} on axis ${axis}, ${gives}` }];
  });
}

function outputFaults(output: ModelOutput, at: string, graph: ModelGraph): FailureIssue[] {
  const tensor = graph.outputs.find(({ name }) => name === output.name);
  if (tensor === undefined) {
    return [{ at: `${at}/name`, text: `the graph has no such output; it has ${names(graph.outputs)}` }];
  }
  if (tensor.dtype === null || !NUMERIC.has(tensor.dtype)) {
    return [{ at, text: `the graph gives ${tensor.dtype ?? 'no tensor'} there, not numbers` }];
  }
  const width = widthOf(tensor);
  if (output.kind === 'classification' && width !== null && width !== output.labels.length) {
    return [{ at: `${at}/labels`, text: `${output.labels.length} labels for ${width} numbers` }];
  }
  if (output.kind === 'measurement' && width !== null && width !== 1) {
    return [{ at, text: `a measurement is one number, the graph gives ${width}` }];
  }
  if (output.kind === 'detection') return columnFaults(output, at, graph);
  return [];
}

/** Scores and classes may be outputs of their own. */
function columnFaults(output: DetectionOutput, at: string, graph: ModelGraph): FailureIssue[] {
  return (['scores', 'classes'] as const).flatMap((part) => {
    const where = output[part];
    if (!where || !('output' in where)) return [];
    const tensor = graph.outputs.find(({ name }) => name === where.output);
    const text = `the graph has no such output; it has ${names(graph.outputs)}`;
    return tensor ? [] : [{ at: `${at}/${part}/output`, text }];
  });
}

const NUMERIC = new Set([
  'float32',
  'float16',
  'float64',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'bool',
]);

/** Numbers per image: the product of all axes but an open first one (the batch); null when another axis is open. */
function widthOf({ dims }: GraphTensor): number | null {
  const [first, ...rest] = dims;
  const fixed = first === null ? rest : dims;
  return fixed.some((dim) => dim === null)
    ? null
    : fixed.reduce<number>((product, dim) => product * (dim ?? 1), 1);
}

const names = (tensors: readonly GraphTensor[]) => tensors.map(({ name }) => `"${name}"`).join(', ');
