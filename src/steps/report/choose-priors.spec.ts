import type { ImagingStudy } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { REASON_CHARACTERS_MAX, reasonForExam } from '../../governance/reason-for-exam.ts';
import type { NearStudy, StudyContext } from '../../governance/study-context.store.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import type { Finding, FindingsCoded } from '../../kernel/handoffs.ts';
import { choosePriors, difference } from './choose-priors.ts';
import { sayPriors } from './say-priors.ts';

const finding = (more: Partial<Finding> = {}): Finding => ({
  key: 'laa-950',
  label: 'LAA-950',
  kind: 'measurement',
  presence: null,
  score: null,
  threshold: null,
  value: 12.6,
  unit: '%',
  codes: [],
  actionable: null,
  ...more,
});
const coded = (findings: Finding[]) =>
  ({
    model: 'lung@2.0.0',
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.1',
    findings,
  }) as unknown as FindingsCoded;

const study = (side?: string, started = '2026-06-01T10:00:00Z'): ImagingStudy => ({
  resourceType: 'ImagingStudy',
  id: 'now',
  status: 'available',
  subject: { reference: 'Patient/p' },
  started,
  series: [
    {
      uid: '1.2.1',
      modality: { code: 'CT' },
      bodySite: { code: '816094009' },
      ...(side ? { laterality: { code: side } } : {}),
    },
  ],
});

interface Before {
  readonly model?: string;
  readonly value?: number;
  readonly unit?: string;
  readonly side?: string;
  readonly site?: string;
  readonly started?: string;
  readonly patient?: string;
  readonly key?: string;
  readonly status?: 'preliminary' | 'entered-in-error';
}

function context(...all: Before[]): Pick<StudyContext, 'patientIds' | 'studies' | 'observations'> {
  const near = (one: Before, at: number): NearStudy => ({
    id: `s${at}`,
    started: one.started ?? '2026-01-03T09:00:00Z',
    description: null,
    series: [
      { uid: `1.9.${at}`, bodySite: one.site ?? '816094009', ...(one.side ? { laterality: one.side } : {}) },
    ],
  });
  return {
    patientIds: ['p'],
    studies: all.map(near),
    observations: all.map((one, at) => ({
      resourceType: 'Observation' as const,
      id: `o${at}`,
      status: one.status ?? 'preliminary',
      identifier: [
        {
          system: IDENTIFIER_SYSTEMS.analysis,
          value: `1.9|${one.model ?? 'lung@2.0.0'}|${one.key ?? 'laa-950'}`,
        },
      ],
      code: { coding: [{ system: CODE_SYSTEMS.finding, code: one.key ?? 'laa-950' }] },
      subject: { reference: `Patient/${one.patient ?? 'p'}` },
      derivedFrom: [{ reference: `ImagingStudy/s${at}` }],
      valueQuantity: { value: one.value ?? 11.2, code: one.unit ?? '%' },
    })),
  };
}

const chosen = (before: Before[], one = finding(), now = study()) =>
  choosePriors(coded([one]), now, context(...before)).byKey.get(one.key) ?? [];
const said = (before: Before[], one = finding(), now = study()) =>
  sayPriors([one], choosePriors(coded([one]), now, context(...before)));

describe('an earlier result', () => {
  it('is subtracted in its own unit, to the digits both have', () => {
    expect(chosen([{}])).toMatchObject([{ value: 11.2, change: 1.4, caution: null, modelVersion: '2.0.0' }]);
    expect(said([{}])).toBe('Compared with 2026-01-03: LAA-950 +1.4 percentage points.');
    expect(difference(3.3, 3.2)).toBe(0.1);
    expect(difference(-850, -842.5)).toBe(-7.5);
  });

  it.each([
    [5720, 5600, 'mL', '+120 mL (+2.1 %)'],
    [5600, 5720, 'mL', '-120 mL (-2.1 %)'],
    [5600, 5600, 'mL', 'unchanged'],
    [10, 0, 'mm', '+10 mm'],
    [-850, -842, "[hnsf'U]", '-8 HU'],
    [37, 36, 'Cel', '+1 Cel'],
  ])('%d after %d %s is said as it can be meant', (value, before, unit, words) => {
    expect(said([{ value: before, unit }], finding({ value, unit }))).toBe(
      `Compared with 2026-01-03: LAA-950 ${words}.`,
    );
  });

  it('of another version, unit or side is shown with the reason and not subtracted', () => {
    const left = '7771000';
    const right = '24028007';
    expect(chosen([{ model: 'lung@1.9.0' }])).toMatchObject([
      { change: null, caution: 'model-version', value: 11.2 },
    ]);
    expect(chosen([{ unit: 'mL' }])).toMatchObject([{ change: null, caution: 'unit', unit: 'mL' }]);
    expect(chosen([{ side: right }], finding(), study(left))).toMatchObject([
      { change: null, caution: 'laterality' },
    ]);
    expect(chosen([{}], finding(), study(left))).toMatchObject([{ caution: 'laterality' }]);
    expect(chosen([{ side: left }], finding(), study(left))).toMatchObject([{ change: 1.4, caution: null }]);
    expect(said([{ model: 'lung@1.9.0' }])).toBe(
      'The result of 2026-01-03 is of another version of the model and was not compared.',
    );
  });

  it('of another model, region, patient or finding, or withdrawn, is not shown at all', () => {
    const before = [
      { model: 'other@2.0.0' },
      { site: '818981001' },
      { patient: 'q' },
      { key: 'lung-volume' },
      { status: 'entered-in-error' as const },
    ];
    for (const one of before) expect(chosen([one]), JSON.stringify(one)).toEqual([]);
  });

  it('is the nearest that can be compared; a result of the same study by another version gives way', () => {
    const before = [
      { started: '2025-01-01T00:00:00Z', value: 10 },
      { started: '2026-01-03T09:00:00Z', model: 'lung@1.0.0', value: 99 },
      { started: '2026-01-03T09:00:00Z', value: 12 },
      { started: '2026-03-01T00:00:00Z', unit: '1', value: 0.1 },
    ];
    expect(chosen(before).map(({ value }) => value)).toEqual([0.1, 12, 10]);
    expect(said(before)).toBe('Compared with 2026-01-03: LAA-950 +0.6 percentage points.');
  });

  it('of the same day is earlier only where both times are known; of the future never', () => {
    expect(chosen([{ started: '2026-06-01' }])).toEqual([]);
    expect(chosen([{ started: '2026-05-31' }])).toHaveLength(1);
    expect(chosen([{ started: '2026-06-01T09:59:00Z' }])).toHaveLength(1);
    expect(chosen([{ started: '2026-06-01T10:00:00Z' }, { started: '2027-01-01T00:00:00Z' }])).toEqual([]);
    expect(said([{ started: '2027-01-01T00:00:00Z' }])).toBe(
      'A later study, of 2027-01-01, was reported before this one and is not compared with it.',
    );
  });
});

describe('the reason for the exam', () => {
  it('is that of the order, else that of the images, in one line of bounded length', () => {
    expect(reasonForExam([{ text: 'Cough\r\nfor weeks' }], [{ text: 'other' }])).toBe('Cough for weeks');
    expect(reasonForExam([], [{ coding: [{ code: '1', display: 'Dyspnea' }] }, { text: 'Dyspnea' }])).toBe(
      'Dyspnea',
    );
    expect(reasonForExam([{ text: ' ' }], undefined)).toBeNull();
    expect(reasonForExam([{ text: 'x'.repeat(9_000) }], [])).toHaveLength(REASON_CHARACTERS_MAX);
  });
});
