import type {
  DiagnosticReport,
  Extension,
  ImagingStudy,
  Observation,
  Patient,
  Resource,
  ServiceRequest,
  Task,
} from '@medplum/fhirtypes';
import { type PriorResult, priorToExtension } from '../../src/governance/prior-result.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS, PRELIM } from '../../src/kernel/code-systems.ts';

/**
 * Generated records of analyses, in the shape in which the report step writes them. All people in it are invented.
 */
export interface RecordOptions {
  readonly id: string;
  readonly family?: string;
  readonly given?: string;
  readonly mrn?: string;
  readonly gender?: 'female' | 'male';
  readonly birthDate?: string;
  readonly exam?: string;
  readonly modality?: string;
  /** Why it was asked for, as the order says it. */
  readonly reason?: string;
  /** Start of the exam. */
  readonly started: Date;
  readonly status?: Task['status'];
  readonly stage?: string;
  /** null: no order matched. */
  readonly priority?: ServiceRequest['priority'] | null;
  readonly model?: string;
  readonly findings?: readonly FindingOptions[];
  readonly reportStatus?: DiagnosticReport['status'];
  readonly refusal?: { readonly rule: string; readonly text: string };
  readonly failure?: string;
  readonly warnings?: readonly string[];
  readonly conclusion?: string;
  /** PNG, base64. */
  readonly picture?: string;
}

export interface FindingOptions {
  readonly label: string;
  readonly presence?: 'present' | 'absent' | 'indeterminate';
  readonly score?: number;
  readonly threshold?: number;
  readonly value?: number;
  readonly unit?: readonly [unit: string, ucum: string];
  readonly abnormal?: boolean;
  readonly actionable?: 1 | 2 | 3;
  /** Earlier results, newest first. */
  readonly priors?: readonly Partial<PriorResult>[];
  readonly sct?: readonly [code: string, display: string];
  readonly radlex?: readonly [code: string, display: string] | 'none';
}

/** All resources of one analysis; the Task is the last. */
export function analysisResources(options: RecordOptions): Resource[] {
  const { id } = options;
  const observations = (options.findings ?? []).map((finding, i) =>
    observation(`${id}-o${i}`, options, finding),
  );
  const reported = options.status === undefined || options.status === 'completed';
  return [
    patient(options),
    study(options),
    ...(options.priority === null ? [] : [order(options)]),
    ...observations,
    ...(options.picture === undefined ? [] : picture(options, options.picture)),
    ...(reported ? [report(options, observations)] : []),
    task(options, reported),
  ];
}

const NO_PRIOR: PriorResult = {
  observationId: 'earlier',
  taken: '',
  modelVersion: '1.0.0',
  value: null,
  unit: null,
  presence: null,
  change: null,
  caution: null,
};

const PRESENCE = { present: '52101004', absent: '2667000', indeterminate: '82334004' } as const;

function patient({ id, family, given, mrn, gender, birthDate }: RecordOptions): Patient {
  return {
    resourceType: 'Patient',
    id: `${id}-p`,
    identifier: [
      { type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'MR' }] }, value: mrn ?? `M-${id}` },
    ],
    name: [{ family: family ?? 'Sample', given: [given ?? 'Person'] }],
    ...(gender ? { gender } : {}),
    ...(birthDate ? { birthDate } : {}),
  };
}

function study({ id, exam, modality, started, priority }: RecordOptions): ImagingStudy {
  return {
    resourceType: 'ImagingStudy',
    id: `${id}-s`,
    status: 'available',
    identifier: [
      { system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:2.25.${1000 + id.length}${id.charCodeAt(0)}` },
    ],
    subject: { reference: `Patient/${id}-p` },
    started: started.toISOString(),
    modality: [{ system: CODE_SYSTEMS.dcm, code: modality ?? 'DX' }],
    ...(exam ? { description: exam } : {}),
    ...(priority === null ? {} : { basedOn: [{ reference: `ServiceRequest/${id}-q` }] }),
  };
}

function order({ id, priority, reason }: RecordOptions): ServiceRequest {
  return {
    resourceType: 'ServiceRequest',
    id: `${id}-q`,
    status: 'active',
    intent: 'order',
    ...(priority ? { priority } : {}),
    ...(reason ? { reasonCode: [{ text: reason }] } : {}),
    identifier: [
      { type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'ACSN' }] }, value: `A-${id}` },
    ],
    subject: { reference: `Patient/${id}-p` },
  };
}

function observation(id: string, { id: analysis }: RecordOptions, finding: FindingOptions): Observation {
  const component = (code: string, value: number | undefined) =>
    value === undefined
      ? []
      : [{ code: { coding: [{ system: CODE_SYSTEMS.finding, code }] }, valueQuantity: { value } }];
  const coding = (system: string, code: readonly [string, string] | 'none' | undefined) =>
    code && code !== 'none' ? [{ system, code: code[0], display: code[1] }] : [];
  const category = `${PRELIM}/StructureDefinition/actionable-category`;
  const extension: Extension[] = [
    ...(finding.actionable === undefined ? [] : [{ url: category, valueInteger: finding.actionable }]),
    ...(finding.priors ?? []).map((prior) => priorToExtension({ ...NO_PRIOR, ...prior })),
  ];
  const answer = finding.presence;
  return {
    resourceType: 'Observation',
    id,
    status: 'preliminary',
    extension,
    subject: { reference: `Patient/${analysis}-p` },
    code: {
      ...(finding.radlex === 'none'
        ? {
            extension: [
              { url: `${PRELIM}/StructureDefinition/no-matching-code`, valueUri: CODE_SYSTEMS.radlex },
            ],
          }
        : {}),
      text: finding.label,
      coding: [...coding(CODE_SYSTEMS.sct, finding.sct), ...coding(CODE_SYSTEMS.radlex, finding.radlex)],
    },
    ...(answer
      ? { valueCodeableConcept: { coding: [{ system: CODE_SYSTEMS.sct, code: PRESENCE[answer] }] } }
      : {}),
    ...(finding.value === undefined
      ? {}
      : {
          valueQuantity: {
            value: finding.value,
            unit: finding.unit?.[0] ?? '1',
            system: CODE_SYSTEMS.ucum,
            code: finding.unit?.[1] ?? '1',
          },
        }),
    ...(finding.abnormal
      ? { interpretation: [{ coding: [{ system: CODE_SYSTEMS.interpretation, code: 'H' }] }] }
      : {}),
    component: [...component('score', finding.score), ...component('threshold', finding.threshold)],
  };
}

function picture({ id, modality }: RecordOptions, data: string): Resource[] {
  return [
    { resourceType: 'Binary', id: `${id}-b`, contentType: 'image/png', data },
    {
      resourceType: 'Media',
      id: `${id}-m`,
      status: 'completed',
      content: {
        contentType: 'image/png',
        url: `Binary/${id}-b`,
        title: `Key picture (${modality ?? 'DX'})`,
      },
    },
  ];
}

function report(options: RecordOptions, observations: readonly Observation[]): DiagnosticReport {
  const { id } = options;
  return {
    resourceType: 'DiagnosticReport',
    id: `${id}-r`,
    status: options.reportStatus ?? 'preliminary',
    code: { text: options.exam ?? 'Imaging report' },
    subject: { reference: `Patient/${id}-p` },
    imagingStudy: [{ reference: `ImagingStudy/${id}-s` }],
    result: observations.map((one) => ({ reference: `Observation/${one.id}` })),
    ...(options.conclusion ? { conclusion: options.conclusion } : {}),
    ...(options.picture === undefined ? {} : { media: [{ link: { reference: `Media/${id}-m` } }] }),
  };
}

function task(options: RecordOptions, reported: boolean): Task {
  const { id, refusal, failure, started } = options;
  const reason = refusal ?? (failure === undefined ? undefined : { rule: undefined, text: failure });
  return {
    resourceType: 'Task',
    id,
    status: options.status ?? 'completed',
    intent: 'order',
    code: { coding: [{ system: `${PRELIM}/CodeSystem/task`, code: 'analysis' }] },
    for: { reference: `Patient/${id}-p` },
    focus: { reference: `ImagingStudy/${id}-s` },
    ...(options.priority === null ? {} : { basedOn: [{ reference: `ServiceRequest/${id}-q` }] }),
    authoredOn: new Date(started.getTime() + 40_000).toISOString(),
    ...(reported ? { executionPeriod: { end: new Date(started.getTime() + 52_000).toISOString() } } : {}),
    ...(options.stage ? { businessStatus: { text: options.stage } } : {}),
    ...(reason
      ? {
          statusReason: {
            ...(reason.rule ? { coding: [{ system: CODE_SYSTEMS.refusal, code: reason.rule }] } : {}),
            text: reason.text,
          },
        }
      : {}),
    input: [{ type: { text: 'model' }, valueString: options.model ?? 'cxr-densenet-all@1.5.2' }],
    ...(reported
      ? { output: [{ type: { text: 'report' }, valueReference: { reference: `DiagnosticReport/${id}-r` } }] }
      : {}),
    ...(options.warnings ? { note: options.warnings.map((text) => ({ text })) } : {}),
  };
}
