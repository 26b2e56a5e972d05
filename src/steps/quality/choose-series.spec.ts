import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { enhancedFile } from '../../../models/phantom/enhanced-file.ts';
import { phantomSeries } from '../../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../../models/phantom/phantom-file.ts';
import { datasetToJson } from '../../dicom/dataset-to-json.ts';
import { jsonString } from '../../dicom/json-values.ts';
import { readPart10 } from '../../dicom/read-part10.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { checkManifest } from '../../governance/check-manifest.ts';
import type { Fits, Manifest } from '../../governance/manifest.ts';
import { chooseSeries } from './choose-series.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const DICOM = resolve(ROOT, '../shared/data/dicom');
const here = existsSync(DICOM);

const example = parse(
  readFileSync(resolve(ROOT, 'test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0/manifest.yaml'), 'utf8'),
);
const cxr = checkManifest(example).manifest as Manifest;

/** A model of the lung on CT, as far as the gate looks at it. */
const lung = (fits: Partial<Fits> = {}): Manifest => ({
  ...cxr,
  inputs: [{ name: 'volume', gives: 'image', layout: 'DHW', dtype: 'float32' }],
  fits: { modality: ['CT'], body_part: ['CHEST'], body_part_missing: 'warn', orientation: 'axial', ...fits },
});

const read = (file: string): DicomJson =>
  datasetToJson(readPart10(readFileSync(resolve(DICOM, file)), { stopBeforePixels: true }).dataset);

const reasons = (instances: readonly DicomJson[], manifest: Manifest) => {
  const choice = chooseSeries(instances, manifest);
  return choice.kind === 'refused' ? choice.refusals.map(({ rule }) => rule) : 'passed';
};

describe('the chest X-ray gate on real files (skipped: no shared data)', () => {
  it.skipIf(!here).each([
    ['cxr/rsna_pa_normal_009eb222.dcm', []],
    ['cxr/rsna_ap_opacity_012a5620.dcm', []],
    ['cxr/siim_pa_mono2.dcm', []],
    ['cxr/siim_pa_mono1_tagonly.dcm', []],
    ['cxr/wg04_RG1_J2KI.dcm', []],
    ['cxr/fuji_cr_mono1_no_preamble.dcm', ['age']],
    ['cxr/nih_dx_implicit_1024.dcm', ['body-part', 'view']],
  ])('lets %s pass, with the warnings %j', (file, warnings) => {
    const choice = chooseSeries([read(file)], cxr);
    expect(choice).toMatchObject({ kind: 'passed', sopInstanceUids: [expect.stringMatching(/^[0-9.]+$/)] });
    expect(choice.warnings.map(({ rule }) => rule)).toEqual(warnings);
  });

  it.skipIf(!here).each([
    ['a dog, by age and size', 'cxr/dx_mono1_8bit_small.dcm', ['age', 'rows-columns']],
    ['a signed test pattern that says CHEST', 'cxr/cr_16bit_signed_bodypart_chest.dcm', ['signed']],
    ['a colour test pattern that says CHEST', 'cxr/cr_rgb_bodypart_chest.dcm', ['photometric', 'samples']],
    ['a hip', 'other-xray/wg04_RG2_JPLY_hip.dcm', ['body-part']],
    ['a shin', 'other-xray/wg04_RG3_J2KR_extremity.dcm', ['body-part']],
    ['a CT slice', 'transfer-syntax/ct_explicit_le.dcm', ['modality', 'signed']],
    [
      'an ultrasound loop',
      'us/us_8frame_implicit_rgb.dcm',
      ['modality', 'frames', 'photometric', 'samples', 'rows-columns'],
    ],
    ['a structured report', 'sr/test-SR.dcm', ['images']],
  ])('refuses %s by name', (_what, file, rules) => {
    expect(reasons([read(file)], cxr)).toEqual(rules);
  });

  it.skipIf(!here)('takes the frontal of a study, and in the preferred view', () => {
    const pa = read('cxr/rsna_pa_normal_009eb222.dcm');
    const ap = read('cxr/rsna_ap_opacity_012a5620.dcm');
    const lateral = {
      ...pa,
      '00185101': { vr: 'CS', Value: ['LL'] },
      '00080018': { vr: 'UI', Value: ['1.2.3'] },
    };
    const choice = chooseSeries([lateral, ap, read('sr/test-SR.dcm'), pa], cxr);
    expect(choice).toMatchObject({ kind: 'passed', sopInstanceUids: [pa['00080018']?.Value?.[0]] });
    expect(reasons([lateral], cxr)).toEqual(['view']);
  });

  it.skipIf(!here)('keeps refusals free of what the header says in free text', () => {
    const image = read('cxr/rsna_pa_normal_009eb222.dcm');
    const secret = 'MEIER ANNA';
    const spoilt = Object.fromEntries(
      Object.entries(image).map(([tag, element]) =>
        ['CS', 'LO', 'SH', 'AS', 'DA', 'PN'].includes(element.vr)
          ? [tag, { vr: element.vr, Value: [secret] }]
          : [tag, element],
      ),
    );
    const choice = chooseSeries(
      [spoilt, { ...spoilt, '0008103E': { vr: 'LO', Value: [`${secret} KNEE`] } }],
      cxr,
    );
    expect(choice.kind).toBe('refused');
    expect(JSON.stringify(choice)).not.toMatch(/MEIER|ANNA/);
  });
});

describe('the CT gate on real files (skipped: no shared data)', () => {
  const head = ['01', '02', '03', '04', '05'].map((n) => `ct-series-head-philips/${n}.dcm`);
  const liver = ['01', '02', '03'].map((n) => `ct-series-liver/ct_${n}.dcm`);

  it.skipIf(!here)('refuses a head for a lung model by its body part', () => {
    expect(reasons(head.map(read), lung())).toEqual(['body-part']);
  });

  it.skipIf(!here)('stacks slices by position, whatever the order they come in', () => {
    const slices = head.map(read);
    const ordered = chooseSeries(slices, lung({ body_part: ['HEAD'], gap_tolerance: 0.05 }));
    const shuffled = chooseSeries(
      [3, 0, 4, 2, 1].map((i) => slices[i] as DicomJson),
      lung({ body_part: ['HEAD'] }),
    );
    expect(ordered).toMatchObject({ kind: 'passed', warnings: [] });
    expect(ordered).toEqual(shuffled);
  });

  it.skipIf(!here)('sees a missing slice and a doubled one', () => {
    const slices = head.map(read);
    const manifest = lung({ body_part: ['HEAD'], gap_tolerance: 0.05 });
    const gap = chooseSeries(
      slices.filter((_, i) => i !== 2),
      manifest,
    );
    expect(gap).toMatchObject({ refusals: [{ rule: 'gaps', observed: 'a gap of 1 slices' }] });
    const twin = { ...(slices[2] as DicomJson), '00080018': { vr: 'UI', Value: ['1.2.3'] } };
    const doubled = chooseSeries([...slices, twin], manifest);
    expect(doubled).toMatchObject({
      refusals: [{ rule: 'duplicates', observed: '1 slices at the place of another' }],
    });
  });

  it.skipIf(!here)('judges count, coverage, thickness, spacing, kernel and size', () => {
    const slices = liver.map(read);
    const strict: Fits = {
      modality: ['CT'],
      slices: { min: 20 },
      coverage_mm: { min: 150 },
      slice_thickness_mm: { min: 2, max: 3 },
      pixel_spacing_mm: { max: 0.5 },
      kernel_not: ['STANDARD'],
      rows: { max: 256 },
      pixel_signed: false,
      bits_stored: { max: 12 },
    };
    const bare = { ...lung(), fits: strict };
    expect(reasons(slices, bare)).toEqual([
      'bits',
      'signed',
      'rows-columns',
      'kernel',
      'slices',
      'thickness',
      'spacing',
      'coverage',
    ]);
    expect(reasons(slices, { ...bare, warn_only: ['kernel', 'slices'] })).not.toContain('kernel');
  });

  it.skipIf(!here)('passes over the segmentation in the same study', () => {
    const choice = chooseSeries(
      [...liver, 'ct-series-liver/seg_liver.dcm'].map(read),
      lung({ body_part_missing: 'warn' }),
    );
    expect(choice).toMatchObject({ kind: 'passed', warnings: [{ rule: 'body-part' }] });
    expect(choice.kind === 'passed' && choice.sopInstanceUids).toHaveLength(3);
  });

  it.skipIf(!here)('refuses a localizer, and leaves localizers out of a series that holds slices too', () => {
    const scout = (image: DicomJson, uid: string) => ({
      ...image,
      '00080008': { vr: 'CS', Value: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] },
      '00080018': { vr: 'UI', Value: [uid] },
    });
    const slices = liver.map(read);
    const first = scout(slices[0] as DicomJson, '1.2.3');
    expect(reasons([first], lung())).toEqual(['localizer']);
    const mixed = chooseSeries([...slices, first], lung({ body_part_missing: 'accept' }));
    expect(mixed).toMatchObject({ kind: 'passed', warnings: [{ rule: 'localizer' }] });
  });

  it.skipIf(!here)(
    'takes an enhanced multi-frame object as the volume of its frames, for models of volumes only',
    () => {
      const object = read('ct-series-tiny/multiframe.dcm');
      const manifest: Manifest = {
        ...lung(),
        fits: { modality: ['CT'], slices: { min: 3, max: 3 }, gap_tolerance: 0.01 },
      };
      const choice = chooseSeries([object], manifest);
      expect(choice).toMatchObject({ kind: 'passed', sopInstanceUids: [expect.stringMatching(/^[0-9.]+$/)] });
      expect(reasons([object], { ...cxr, fits: { modality: ['CT'] } })).toEqual(['frames']);
    },
  );

  it.skipIf(!here)('tells the reason of the series that came nearest', () => {
    const all = [...head, ...liver, 'mr-series/MR01.dcm'].map(read);
    const choice = chooseSeries(all, lung({ body_part_missing: 'accept', slices: { min: 50 } }));
    expect(choice).toMatchObject({
      refusals: [{ rule: 'slices', observed: '3 slices', required: 'at least 50 slices' }],
    });
  });

  it.skipIf(!here)('takes the preferred kernel, then the longer series', () => {
    const series = (uid: string, kernel: string, count: number) =>
      head.slice(0, count).map((file, i) => ({
        ...read(file),
        '0020000E': { vr: 'UI', Value: [uid] },
        '00080018': { vr: 'UI', Value: [`${uid}.${i}`] },
        '00181210': { vr: 'SH', Value: [kernel] },
      }));
    const all = [...series('1.1', 'B70f', 5), ...series('1.2', 'B30f', 4), ...series('1.3', 'B30f', 5)];
    const manifest = lung({ body_part: ['HEAD'], kernel_prefer: ['B30'] });
    expect(chooseSeries(all, manifest)).toMatchObject({ seriesInstanceUid: '1.3' });
  });
});

describe('an enhanced object beside a classic series', () => {
  const headers = (seed: number, slices: number, kernel: 'B30f' | 'B70f') => {
    const series = phantomSeries({ seed, slices, rows: 32, columns: 32, kernel });
    return [...series.slices()];
  };
  const json = (file: Buffer): DicomJson =>
    datasetToJson(readPart10(file, { stopBeforePixels: true }).dataset);
  const enhanced = (...of: Parameters<typeof headers>) => json(enhancedFile(headers(...of)));
  const classic = (...of: Parameters<typeof headers>) =>
    headers(...of).map((slice) => json(phantomFile(slice.attributes, slice.stored)));
  const chosen = (instances: readonly DicomJson[], fits: Partial<Fits> = {}) => {
    const choice = chooseSeries(instances, lung({ slices: { min: 3 }, ...fits }));
    if (choice.kind === 'refused') throw new Error(JSON.stringify(choice.refusals));
    return choice.sopInstanceUids;
  };

  it('is taken for its slices, not for its one instance', () => {
    const long = enhanced(1, 6, 'B30f');
    expect(chosen([...classic(2, 4, 'B30f'), long])).toEqual([jsonString(long, '00080018')]);
    expect(chosen([...classic(2, 8, 'B30f'), long])).toHaveLength(8);
  });

  it('is taken for its kernel, which its frames say', () => {
    const soft = enhanced(1, 4, 'B30f');
    expect(chosen([...classic(2, 8, 'B70f'), soft], { kernel_prefer: ['B30'] })).toEqual([
      jsonString(soft, '00080018'),
    ]);
    expect(reasons([enhanced(3, 4, 'B70f')], lung({ kernel_not: ['B70'] }))).toEqual(['kernel']);
  });
});

describe('headers that lie or say nothing', () => {
  const image = (more: Record<string, unknown>): DicomJson => ({
    '00080018': { vr: 'UI', Value: ['1.2.3'] },
    '0020000E': { vr: 'UI', Value: ['1.2'] },
    '00080060': { vr: 'CS', Value: ['DX'] },
    '00280010': { vr: 'US', Value: [100] },
    ...(Object.fromEntries(
      Object.entries(more).map(([tag, value]) => [tag, { vr: 'LO', Value: [value] }]),
    ) as DicomJson),
  });
  const bare = (fits: Partial<Fits>): Manifest => ({
    ...cxr,
    warn_only: [],
    fits: { modality: ['DX'], ...fits },
  });

  it.each([
    ['CHEST', 'KNEE AP', '', ['body-part']],
    ['CHEST', '', 'XR KNEE', 'passed'],
    ['', 'CHEST PA', 'POLYTRAUMA HEAD', 'passed'],
    ['', '', 'HEAD CT', ['body-part']],
    ['', 'Thorax in zwei Ebenen', '', 'passed'],
    ['CHESTABDPELVIS', '', '', 'passed'],
    ['Chest_Abdomen', '', '', 'passed'],
    ['FLUXCAPACITOR', '', '', 'passed'],
    ['BRAIN', 'CHEST', 'CHEST', ['body-part']],
  ])('body part %j, series %j, study %j: %j', (part, series, study, verdict) => {
    const tags = { '00180015': part, '0008103E': series, '00081030': study };
    expect(reasons([image(tags)], bare({ body_part: ['CHEST'], body_part_missing: 'warn' }))).toEqual(
      verdict,
    );
  });

  it('matches a body part that is in no table by its own name', () => {
    const manifest = bare({ body_part: ['Scapula_Y', 'KIDNEY TRANSPLANT'], body_part_missing: 'refuse' });
    expect(reasons([image({ '00180015': 'SCAPULA_Y' })], manifest)).toBe('passed');
    expect(reasons([image({ '00180015': 'FLUXCAPACITOR' })], manifest)).toEqual(['body-part']);
  });

  it('refuses what does not say what the manifest needs, unless it is told otherwise', () => {
    const needs: Partial<Fits> = { body_part: ['CHEST'], view: ['PA'], age_years: { min: 18 } };
    expect(reasons([image({})], bare(needs))).toEqual(['body-part', 'view', 'age']);
    const mild = {
      ...needs,
      body_part_missing: 'accept',
      view_missing: 'accept',
      age_missing: 'accept',
    } as const;
    expect(chooseSeries([image({})], bare(mild))).toMatchObject({ kind: 'passed', warnings: [] });
  });

  it.each([
    ['017Y', ['age']],
    ['018Y', 'passed'],
    ['210M', ['age']],
    ['217M', 'passed'],
    ['005D', ['age']],
    ['60', 'passed'],
    ['060X', ['age']],
    ['-10Y', ['age']],
  ])('reads the age %s', (age, verdict) => {
    expect(reasons([image({ '00101010': age })], bare({ age_years: { min: 18 } }))).toEqual(verdict);
  });

  it('takes the age from the dates where it is not written, but not from dates that cannot be', () => {
    const verdict = (born: string, studied: string) =>
      reasons([image({ '00100030': born, '00080020': studied })], bare({ age_years: { min: 18 } }));
    expect(verdict('19400305', '20040826')).toBe('passed');
    expect(verdict('20000305', '20040826')).toEqual(['age']);
    expect(verdict('20040826', '19010101')).toEqual(['age']);
  });

  it('refuses a lateral that only its orientation or its description shows', () => {
    const manifest = bare({ view: ['PA', 'AP'], view_missing: 'warn' });
    expect(reasons([image({ '0008103E': 'chest lat.' })], manifest)).toEqual(['view']);
    expect(reasons([image({ '00200020': 'A\\F' })], manifest)).toEqual(['view']);
    expect(reasons([image({ '00200020': 'L' })], manifest)).toBe('passed');
  });

  it('refuses animals that say so, burned-in text, derived and over-compressed images where the manifest says so', () => {
    const manifest = bare({
      species: 'human',
      burned_in_annotation: false,
      derived: false,
      lossy_ratio_max: 20,
    });
    const spoilt = image({
      '00102201': 'Canis lupus familiaris',
      '00280301': 'YES',
      '00080008': 'DERIVED',
      '00282112': 35,
    });
    expect(reasons([spoilt], manifest)).toEqual(['species', 'derived', 'burned-in', 'lossy']);
    expect(reasons([image({ '00102201': 'Homo sapiens', '00280301': 'NO' })], manifest)).toBe('passed');
  });

  it('survives values of any type in any place', () => {
    const values = [null, {}, [], -1, 1e99, Number.NaN, 'x'.repeat(1000), { Alphabetic: 'A' }, true];
    const tags = [
      '00080060',
      '00180015',
      '00101010',
      '00200032',
      '00200037',
      '00280010',
      '00280030',
      '00080008',
      '00280008',
    ];
    const manifest = lung({
      gap_tolerance: 0.1,
      coverage_mm: { min: 1 },
      pixel_spacing_mm: { max: 1 },
      slices: { min: 1 },
    });
    for (const value of values) {
      for (const tag of tags) {
        const instance = { ...image({}), [tag]: { vr: 'UN', Value: [value, value, value] } } as DicomJson;
        expect(() => chooseSeries([instance, instance], manifest)).not.toThrow();
        expect(() =>
          chooseSeries([{ ...instance, [tag]: { vr: 'UN', Value: 7 } } as never], cxr),
        ).not.toThrow();
      }
    }
  });

  it('says so when the study holds no images', () => {
    expect(chooseSeries([], cxr)).toMatchObject({ kind: 'refused', refusals: [{ rule: 'images' }] });
  });
});
