import type { ErrorObject } from 'ajv';
import schema from '../../../protocols/imaging-protocol-1.schema.json' with { type: 'json' };
import { checkBySchema } from '../../kernel/check-by-schema.ts';
import type { FailureIssue } from '../../kernel/errors.ts';
import { fits } from './judge-protocol.ts';
import { definitionOf, type ParameterName } from './parameters.ts';
import type { ImagingProtocol } from './protocol.ts';

/** Judges a protocol, from a file or out of a PlanDefinition: every fault at once; `at` is a JSON pointer. */
export function checkProtocol(value: unknown): {
  protocol: ImagingProtocol | null;
  faults: readonly FailureIssue[];
} {
  const errors = check(value);
  if (errors.length > 0) return { protocol: null, faults: errors.map(toFault) };
  const protocol = value as unknown as ImagingProtocol;
  const faults = [...rangeFaults(protocol), ...wordFaults(protocol)];
  return { protocol: faults.length > 0 ? null : protocol, faults };
}

const check = checkBySchema(schema, { verbose: true });

function toFault(error: ErrorObject): FailureIssue {
  const at = error.instancePath || '/';
  const { params, keyword } = error;
  if (keyword === 'additionalProperties')
    return { at, text: `the field "${params['additionalProperty']}" is not known` };
  if (keyword === 'required') return { at, text: `the field "${params['missingProperty']}" is missing` };
  if (keyword === 'enum')
    return { at, text: `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}` };
  return { at, text: error.message ?? keyword };
}

function rangeFaults({ parameters, applies }: ImagingProtocol): FailureIssue[] {
  const ranges = [
    ...Object.entries(parameters).map(([name, limit]) => [`/parameters/${name}`, limit] as const),
    ['/applies/age_years', applies.age_years] as const,
  ];
  return ranges.flatMap(([at, limit]) =>
    limit?.min !== undefined && limit.max !== undefined && limit.min > limit.max
      ? [{ at, text: 'min is greater than max: no study can conform' }]
      : [],
  );
}

/** A word that no image can have, and words that leave none over: both would make every study deviate. */
function wordFaults({ parameters }: ImagingProtocol): FailureIssue[] {
  return Object.entries(parameters).flatMap(([name, { one_of: wanted, none_of: unwanted }]) => {
    const at = `/parameters/${name}`;
    const definition = definitionOf(name as ParameterName);
    if (definition.kind !== 'text') return [];
    const isOut = (word: string) => unwanted?.some((other) => fits(definition, word, other)) ?? false;
    const unheard =
      name === 'contrast' && [...(wanted ?? []), ...(unwanted ?? [])].some((word) => !CONTRAST.has(word));
    return [
      ...(wanted?.every(isOut)
        ? [{ at, text: 'none_of rules out all of one_of: no study can conform' }]
        : []),
      ...(unheard ? [{ at, text: 'contrast is none or given' }] : []),
    ];
  });
}

const CONTRAST: ReadonlySet<string> = new Set(['none', 'given']);
