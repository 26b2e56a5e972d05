import { describe, expect, it } from 'vitest';
import { CT, code, image, one, stack, verdict } from '../../../test/gate-images.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import type { GateRuleName } from '../../governance/gate-rules.ts';
import type { Fits } from '../../governance/manifest.ts';
import { RULES } from './rules/all.ts';

interface Case {
  readonly rule: GateRuleName;
  readonly fits: Partial<Fits>;
  readonly passes: readonly (readonly DicomJson[])[];
  readonly refuses: readonly (readonly [images: readonly DicomJson[], observed: string])[];
  /** What says nothing: refused with this word, and warned of or let pass where the manifest says so. */
  readonly missing?: readonly [images: readonly DicomJson[], observed: string];
}

const CASES: readonly Case[] = [
  {
    rule: 'modality',
    fits: {},
    passes: [one({})],
    refuses: [
      [[image({ '00080060': 'MR' })], 'MR'],
      [[image({})], 'no modality'],
    ],
  },
  {
    rule: 'sop-class',
    fits: { sop_class: ['1.2.840.10008.5.1.4.1.1.2'] },
    passes: [one({ '00080016': '1.2.840.10008.5.1.4.1.1.2' })],
    refuses: [
      [one({ '00080016': '1.2.840.10008.5.1.4.1.1.7' }), '1.2.840.10008.5.1.4.1.1.7'],
      [one({ '00080016': 'MEIER' }), 'no UID'],
    ],
    missing: [one({}), 'no SOP class'],
  },
  {
    rule: 'species',
    fits: { species: 'human' },
    passes: [one({}), one({ '00102201': 'Homo sapiens' }), one(code('00102202', 'L-85B00', 'SRT'))],
    refuses: [[one({ '00102201': 'Felis catus' }), 'another species']],
  },
  {
    rule: 'procedure',
    fits: { procedure: ['http://loinc.org|24627-2', 'CTTHX'] },
    passes: [
      one(code('00081032', '24627-2', 'LN')),
      one(code('00321064', 'CTTHX', '99HOSP')),
      one({ '00400275': [code('00321064', 'CTTHX', '99HOSP')] }),
    ],
    refuses: [
      [one(code('00081032', 'MEIER')), 'another procedure'],
      [one(code('00081032', '24627-2', '99HOSP')), 'another procedure'],
    ],
    missing: [one({}), 'no procedure code'],
  },
  {
    rule: 'body-part',
    fits: { body_part: ['CHEST'] },
    passes: [
      one({ '00180015': 'THORAX' }),
      one(code('00082218', '39607008')),
      one(code('00082218', 'T-D3000', 'SRT')),
      one({ '00180015': 'CHESTABDPELVIS' }),
    ],
    refuses: [
      [one(code('00082218', 'T-D9200', 'SRT')), 'lower limb'],
      [one({ '00180015': 'KNEE' }), 'lower limb'],
    ],
    missing: [one({}), 'no body part'],
  },
  {
    rule: 'laterality',
    fits: { laterality: ['L'] },
    passes: [
      one({ '00200062': 'L' }),
      one({ '00200060': 'L' }),
      one({ '00082218': [{ '00080100': '76752008', ...code('00082220', '7771000') }] }),
    ],
    refuses: [
      [one({ '00200062': 'R' }), 'right'],
      [one({ '00200060': 'B' }), 'both sides'],
    ],
    missing: [one({ '00200062': 'LEFT' }), 'no side'],
  },
  {
    rule: 'view',
    fits: { view: ['PA', 'AP'] },
    passes: [
      one({ '00185101': 'PA' }),
      one(code('00540220', '399348003')),
      one(code('00540220', 'R-10214', 'SRT')),
    ],
    refuses: [
      [one({ '00185101': 'LL' }), 'LL'],
      [one(code('00540220', '399067008')), 'LATERAL'],
      [one({ '00185101': 'MEIER' }), 'another view'],
    ],
    missing: [one({}), 'no view position'],
  },
  {
    rule: 'age',
    fits: { age_years: { min: 18, max: 90 } },
    passes: [one({ '00101010': '018Y' }), one({ '00100030': '19600229', '00080020': '20260115' })],
    refuses: [
      [one({ '00101010': '017Y' }), 'a younger patient'],
      [one({ '00101010': '091Y' }), 'an older patient'],
    ],
    missing: [one({}), 'no age'],
  },
  {
    rule: 'sex',
    fits: { sex: ['F'] },
    passes: [one({ '00100040': 'F' })],
    refuses: [
      [one({ '00100040': 'M' }), 'male'],
      [one({ '00100040': 'O' }), 'other'],
    ],
    missing: [one({ '00100040': '' }), 'no sex'],
  },
  {
    rule: 'localizer',
    fits: {},
    passes: [one({ '00080008': ['ORIGINAL', 'PRIMARY', 'AXIAL'] })],
    refuses: [[one({ '00080008': ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] }), 'a localizer']],
  },
  {
    rule: 'derived',
    fits: { derived: false },
    passes: [one({}), one({ '00080008': ['ORIGINAL', 'PRIMARY'] })],
    refuses: [[one({ '00080008': ['DERIVED', 'PRIMARY'] }), 'derived images']],
  },
  {
    rule: 'secondary',
    fits: { secondary: false },
    passes: [one({}), one({ '00080008': ['DERIVED', 'PRIMARY'] })],
    refuses: [
      [one({ '00080008': ['DERIVED', 'SECONDARY', 'MPR'] }), 'secondary images'],
      [one({ '00080016': '1.2.840.10008.5.1.4.1.1.7' }), 'a Secondary Capture'],
      [one({ '00080016': '1.2.840.10008.5.1.4.1.1.7.2' }), 'a Secondary Capture'],
    ],
  },
  {
    rule: 'burned-in',
    fits: { burned_in_annotation: false },
    passes: [one({}), one({ '00280301': 'NO' })],
    refuses: [[one({ '00280301': 'YES' }), 'text burned into the pixels']],
  },
  {
    rule: 'lossy',
    fits: { lossy_ratio_max: 10 },
    passes: [one({}), one({ '00282112': 9.5 })],
    refuses: [[one({ '00282112': [4, 5] }), 'compressed 20 to 1']],
  },
  {
    rule: 'frames',
    fits: {},
    passes: [one({}), one({ '00280008': 1 })],
    refuses: [[one({ '00280008': 30 }), '30 frames in one instance']],
  },
  {
    rule: 'photometric',
    fits: { photometric: ['MONOCHROME2'] },
    passes: [one({ '00280004': 'MONOCHROME2' })],
    refuses: [
      [one({ '00280004': 'RGB' }), 'RGB'],
      [one({ '00280004': 'MEIER' }), 'an unknown one'],
    ],
    missing: [one({}), 'none stated'],
  },
  {
    rule: 'samples',
    fits: { samples_per_pixel: 1 },
    passes: [one({ '00280002': 1 })],
    refuses: [[one({ '00280002': 3 }), '3 samples per pixel']],
    missing: [one({}), 'no samples per pixel'],
  },
  {
    rule: 'bits',
    fits: { bits_stored: { min: 12, max: 16 } },
    passes: [one({ '00280101': 12 })],
    refuses: [[one({ '00280101': 8 }), '8 bits stored']],
    missing: [one({}), 'no bits stored'],
  },
  {
    rule: 'signed',
    fits: { pixel_signed: false },
    passes: [one({ '00280103': 0 })],
    refuses: [[one({ '00280103': 1 }), 'signed pixels']],
    missing: [one({}), 'no pixel representation'],
  },
  {
    rule: 'rows-columns',
    fits: { rows: { min: 256 }, columns: { min: 256 } },
    passes: [one({ '00280010': 512, '00280011': 512 })],
    refuses: [
      [one({ '00280010': 128, '00280011': 512 }), '128 rows and 512 columns'],
      [
        [...one({ '00280010': 512, '00280011': 512 }), ...one({ '00280010': 256, '00280011': 512 })],
        'images of different size',
      ],
      [one({}), '0 rows and 0 columns'],
    ],
  },
  {
    rule: 'orientation',
    fits: { orientation: 'coronal' },
    passes: [stack([0, 1], { ...CT, '00200037': [1, 0, 0, 0, 0, -1], '00200032': [0, 0, 0] })],
    refuses: [
      [stack([0, 1, 2], CT), 'slices that are not coronal'],
      [one({}), 'slices without place in space or in different planes'],
    ],
  },
  {
    rule: 'tilt',
    fits: { tilt_degrees_max: 5 },
    passes: [stack([0, 1, 2], CT), one({})],
    refuses: [
      [
        [0, 10, 20].map((z) =>
          image({ ...CT, '00200037': [1, 0, 0, 0, 1, 0], '00200032': [0, z * Math.tan(Math.PI / 18), z] }),
        ),
        'a gantry tilt of 10.0 degrees',
      ],
    ],
  },
  {
    rule: 'contrast',
    fits: { contrast: 'none' },
    passes: [
      one({}),
      one({ '00180010': 'NONE' }),
      one({ '0008103E': 'Thorax nativ' }),
      one({ '00081030': 'CT CHEST WITHOUT CONTRAST' }),
    ],
    refuses: [
      [one({ '00180010': 'OMNIPAQUE 300' }), 'contrast agent given'],
      [one(code('00180012', 'C-B0322', 'SRT')), 'contrast agent given'],
      [one({ '0008103E': 'CHEST W/ CONTRAST' }), 'contrast agent given'],
      [one({ '0008103E': 'Thorax mit KM' }), 'contrast agent given'],
    ],
  },
  {
    rule: 'kernel',
    fits: { kernel_not: ['B70', 'LUNG'] },
    passes: [one({ '00181210': 'B30f' }), one({})],
    refuses: [[one({ '00181210': 'b70f' }), 'a kernel with B70']],
  },
  {
    rule: 'slices',
    fits: { slices: { min: 2 } },
    passes: [stack([0, 1], CT)],
    refuses: [[one({}), '1 slices']],
  },
  {
    rule: 'thickness',
    fits: { slice_thickness_mm: { max: 3 } },
    passes: [one({ '00180050': 3 })],
    refuses: [[one({ '00180050': 5 }), 'slices of 5 mm']],
    missing: [one({}), 'no slice thickness'],
  },
  {
    rule: 'spacing',
    fits: { pixel_spacing_mm: { min: 0.4, max: 1 } },
    passes: [one({ '00280030': [0.7, 0.7] }), one({ '00181164': [0.7, 0.7] })],
    refuses: [[one({ '00280030': [0.7, 1.4] }), 'pixels of 1.4 mm']],
    missing: [one({ '00280030': [0, 0] }), 'no pixel spacing'],
  },
  {
    rule: 'gaps',
    fits: { gap_tolerance: 0.1 },
    passes: [stack([0, 1, 2, 3], CT), one({}), stack([0, 1, 1, 2], CT)],
    refuses: [
      [stack([0, 1, 3, 4], CT), 'a gap of 1 slices'],
      [stack([0, 1, 2.3, 3.3], CT), 'distances off by up to 0.3 mm'],
      [[...one({}), ...one({})], 'slices without place in space or in different planes'],
    ],
  },
  {
    rule: 'duplicates',
    fits: { duplicates: false },
    passes: [stack([0, 1, 2, 3], CT), one({})],
    refuses: [
      [stack([0, 1, 1, 2], CT), '1 slices at the place of another'],
      [[...one({}), ...one({})], 'slices without place in space or in different planes'],
    ],
  },
  {
    rule: 'coverage',
    fits: { coverage_mm: { min: 30 } },
    passes: [stack([0, 10, 20], CT)],
    refuses: [
      [stack([0, 10], CT), '20 mm'],
      [one({}), 'slices without place in space'],
    ],
  },
  {
    rule: 'geometry',
    fits: {},
    passes: [
      stack([0, 1, 2], { ...CT, '00200052': '1.2', '00280030': [0.7, 0.7] }),
      one({ '00200052': '1.2' }),
    ],
    refuses: [
      [
        [...stack([0, 1], { ...CT, '00200052': '1.2' }), ...stack([2], { ...CT, '00200052': '1.3' })],
        '2 frames of reference',
      ],
      [
        [
          ...stack([0, 1], { ...CT, '00280030': [0.7, 0.7] }),
          ...stack([2], { ...CT, '00280030': [0.9, 0.9] }),
        ],
        '2 different pixel spacings',
      ],
    ],
  },
  {
    rule: 'attributes',
    fits: { attributes: ['PatientPosition', '0018,0060'] },
    passes: [one({ '00185100': 'HFS', '00180060': 120 })],
    refuses: [],
    missing: [one({ '00185100': [], '00180060': 120 }), 'no PatientPosition'],
  },
];

describe.each(CASES)('the rule $rule', ({ rule, fits, passes, refuses, missing }) => {
  it('lets pass what fits, and everything where the manifest does not ask', () => {
    for (const images of passes) expect(verdict(rule, images, fits)).toBeNull();
    if (ALWAYS.has(rule)) return;
    for (const [images] of refuses) expect(verdict(rule, images, {})).toBeNull();
  });

  it('refuses what does not fit, by what it saw', () => {
    for (const [images, observed] of refuses)
      expect(verdict(rule, images, fits)).toMatchObject({
        rule,
        observed,
        level: 'refuse',
        required: expect.stringMatching(/./),
      });
  });

  if (missing === undefined) return;
  it('does with what says nothing as the manifest wants', () => {
    const [images, observed] = missing;
    expect(verdict(rule, images, fits)).toMatchObject({ observed, level: 'refuse' });
    expect(verdict(rule, images, { ...fits, missing: { [rule]: 'warn' } })).toMatchObject({
      observed,
      level: 'warn',
    });
    expect(verdict(rule, images, { ...fits, missing: { [rule]: 'accept' } })).toBeNull();
  });
});

/** Rules that no field of `fits` switches on. */
const ALWAYS = new Set<GateRuleName>(['modality', 'localizer', 'frames', 'geometry']);

it('every rule of the headers has its cases; protocol, patient-mismatch and problem have specs of their own', () => {
  const judged = new Set<string>(CASES.map(({ rule }) => rule));
  expect(judged.size + 3).toBe(RULES.length);
});
