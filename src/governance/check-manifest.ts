import type { ErrorObject } from 'ajv';
import schema from '../../models/imaging-model-1.schema.json' with { type: 'json' };
import { checkBySchema } from '../kernel/check-by-schema.ts';
import type { FailureIssue } from '../kernel/errors.ts';
import { GATE_RULES, RULES_THAT_ALWAYS_REFUSE } from './gate-rules.ts';
import { tagOfAttribute } from './image-attributes.ts';
import type { FindingRule, Manifest, ModelOutput } from './manifest.ts';
import { combinedOutputFaults } from './output-rules.ts';
import { combinedPixelFaults } from './pixel-rules-combined.ts';

/**
 * Judges a manifest by itself, before its file is looked at: `models/imaging-model-1.schema.json`, then what a schema cannot
 * say. Gives every fault at once; `at` is a JSON pointer into the manifest.
 */
export function checkManifest(value: unknown): {
  manifest: Manifest | null;
  faults: readonly FailureIssue[];
} {
  const errors = check(value);
  if (errors.length > 0) return { manifest: null, faults: errors.filter(tells).map(toFault) };
  const manifest = value as unknown as Manifest;
  return {
    manifest,
    faults: [
      ...rangeFaults(manifest),
      ...warnOnlyFaults(manifest),
      ...attributeFaults(manifest),
      ...pixelFaults(manifest),
      ...combinedPixelFaults(manifest),
      ...outputFaults(manifest),
      ...combinedOutputFaults(manifest),
      ...findingFaults(manifest),
      ...goldenFaults(manifest),
    ],
  };
}

const check = checkBySchema(schema, { discriminator: true, allowUnionTypes: true, verbose: true });

/** `if` only repeats what the branch it chose has said. */
const tells = (error: ErrorObject) => error.keyword !== 'if';

function toFault(error: ErrorObject): FailureIssue {
  const description = (error.parentSchema as { description?: string } | undefined)?.description;
  return { at: error.instancePath || '/', text: textOf(error, description) };
}

function textOf(error: ErrorObject, description: string | undefined): string {
  const what = description === undefined ? '' : ` (${description})`;
  switch (error.keyword) {
    case 'required':
      return `the field "${error.params['missingProperty']}" is missing`;
    case 'additionalProperties':
      return `the field "${error.params['additionalProperty']}" is not known`;
    case 'enum':
      return `must be one of ${(error.params['allowedValues'] as unknown[]).join(', ')}${what}`;
    case 'const':
      return `must be ${JSON.stringify(error.params['allowedValue'])}${what}`;
    case 'discriminator':
      return `"${error.params['tag']}" is missing or not known`;
    case 'pattern':
      return `does not have the right form${what}`;
    case 'type':
      return `must be of type ${error.params['type']}${what}${error.params['type'] === 'string' ? '; in YAML, put it in quotes' : ''}`;
    default:
      return `${error.message ?? error.keyword}${what}`;
  }
}

function rangeFaults(manifest: Manifest): FailureIssue[] {
  return Object.entries(manifest.fits).flatMap(([name, range]) => {
    if (typeof range !== 'object' || !('min' in range) || !('max' in range)) return [];
    return range.min > range.max
      ? [{ at: `/fits/${name}`, text: 'min is greater than max: no study can fit' }]
      : [];
  });
}

function warnOnlyFaults(manifest: Manifest): FailureIssue[] {
  return (manifest.warn_only ?? []).flatMap((rule, i) => {
    const at = `/warn_only/${i}`;
    if (!GATE_RULES.some((name) => name === rule))
      return [{ at, text: `no such rule; there are ${GATE_RULES.join(', ')}` }];
    if (RULES_THAT_ALWAYS_REFUSE.some((name) => name === rule))
      return [{ at, text: `the rule ${rule} always refuses` }];
    return [];
  });
}

function attributeFaults(manifest: Manifest): FailureIssue[] {
  return (manifest.fits.attributes ?? []).flatMap((name, i) =>
    tagOfAttribute(name) === null
      ? [{ at: `/fits/attributes/${i}`, text: 'is no keyword known here; write the tag as gggg,eeee' }]
      : [],
  );
}

function pixelFaults(manifest: Manifest): FailureIssue[] {
  const faults: FailureIssue[] = [];
  const channels = channelsOf(manifest);
  manifest.pixels.forEach((op, i) => {
    const at = `/pixels/${i}`;
    if (op.op === 'normalise' && op.mean.length !== op.std.length) {
      faults.push({ at, text: 'mean and std have different lengths' });
    }
    if (op.op === 'normalise' && op.mean.length !== 1 && op.mean.length !== channels) {
      faults.push({ at, text: `mean needs 1 number, or one for each of the ${channels} channels` });
    }
    if (op.op === 'clip' && op.min > op.max) faults.push({ at, text: 'min is greater than max' });
    if ((op.op === 'stored_values' || op.op === 'modality_values') && i > 0) {
      faults.push({ at, text: `${op.op} says where the pixels come from and must stand first` });
    }
  });
  if (!manifest.inputs.some((input) => input.gives === 'image')) {
    faults.push({ at: '/inputs', text: 'no input takes the image' });
  }
  return [...faults, ...doubles(manifest.inputs, '/inputs')];
}

/** Channels the pixels have in the end. */
export function channelsOf(manifest: Manifest): number {
  const last = manifest.pixels.findLast((op) => op.op === 'channels');
  return last?.count ?? manifest.fits.samples_per_pixel ?? 1;
}

function outputFaults(manifest: Manifest): FailureIssue[] {
  return [
    ...doubles(manifest.outputs, '/outputs'),
    ...manifest.outputs.flatMap((output, i) => {
      if (output.kind !== 'classification') return [];
      const at = `/outputs/${i}`;
      const named = output.labels.filter((label) => label !== '');
      const faults: FailureIssue[] = [];
      if (new Set(named).size !== named.length)
        faults.push({ at: `${at}/labels`, text: 'a label is there twice' });
      if (output.gives === 'probabilities' && output.activation !== 'none') {
        faults.push({
          at: `${at}/activation`,
          text: 'the graph gives probabilities already: the activation must be none',
        });
      }
      if (output.gives === 'logits' && output.activation === 'none') {
        faults.push({
          at: `${at}/activation`,
          text: 'logits need sigmoid or softmax before a threshold means anything',
        });
      }
      return faults;
    }),
  ];
}

function findingFaults(manifest: Manifest): FailureIssue[] {
  const outputs = new Map(manifest.outputs.map((output) => [output.name, output]));
  const keys = manifest.findings.map((finding) => finding.key);
  return manifest.findings.flatMap((finding, i) => {
    const at = `/findings/${i}`;
    const twice =
      keys.indexOf(finding.key) < i ? [{ at: `${at}/key`, text: 'another finding has the same key' }] : [];
    return [
      ...twice,
      ...('measures' in finding ? measureFaults(finding, at, outputs) : presenceFaults(finding, at, outputs)),
    ];
  });
}

type Outputs = ReadonlyMap<string, ModelOutput>;

function presenceFaults(
  finding: Extract<FindingRule, { from: object }>,
  at: string,
  outputs: Outputs,
): FailureIssue[] {
  const faults: FailureIssue[] = [];
  const output = outputs.get(finding.from.output);
  if (output?.kind !== 'classification' && output?.kind !== 'detection') {
    faults.push({
      at: `${at}/from/output`,
      text: 'names no classification or detection output of this manifest',
    });
  } else if (!output.labels.includes(finding.from.label)) {
    faults.push({ at: `${at}/from/label`, text: 'names no label of that output' });
  }
  const { positive, indeterminate } = finding.threshold;
  if (indeterminate !== undefined && indeterminate > positive) {
    faults.push({ at: `${at}/threshold`, text: 'indeterminate is greater than positive' });
  }
  return faults;
}

function measureFaults(
  finding: Extract<FindingRule, { measures: string }>,
  at: string,
  outputs: Outputs,
): FailureIssue[] {
  const faults: FailureIssue[] = [];
  const output = outputs.get(finding.measures);
  if (output?.kind !== 'measurement' && output?.kind !== 'segmentation') {
    faults.push({
      at: `${at}/measures`,
      text: 'names no measurement or segmentation output of this manifest',
    });
  } else if (output.kind === 'measurement' && output.unit !== finding.unit) {
    faults.push({ at: `${at}/unit`, text: 'is not the unit of that output' });
  }
  if (finding.plausible.min >= finding.plausible.max)
    faults.push({ at: `${at}/plausible`, text: 'min is not below max' });
  return faults;
}

function goldenFaults(manifest: Manifest): FailureIssue[] {
  const keys = new Set(manifest.findings.map((finding) => finding.key));
  return (manifest.golden ?? []).flatMap((golden, i) => [
    ...Object.keys(golden.expect)
      .filter((key) => !keys.has(key))
      .map((key) => ({ at: `/golden/${i}/expect`, text: `"${key}" is no key of a finding` })),
    ...((golden.files === undefined) === (golden.phantom === undefined)
      ? [{ at: `/golden/${i}`, text: 'needs either files or phantom' }]
      : []),
  ]);
}

function doubles(named: readonly { readonly name: string }[], at: string): FailureIssue[] {
  const names = named.map(({ name }) => name);
  return names.flatMap((name, i) =>
    names.indexOf(name) < i ? [{ at: `${at}/${i}/name`, text: 'is there twice' }] : [],
  );
}
