import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { CT, one, stack, type Values, verdict } from '../../../test/gate-images.ts';
import { checkManifest } from '../../governance/check-manifest.ts';
import type { Fits } from '../../governance/manifest.ts';
import { type GateContext, NO_CONTEXT } from './gate-rule.ts';

describe('what only some rules have', () => {
  it('a kernel or contrast agent that is not named is refused only where the manifest says what that means', () => {
    expect(verdict('kernel', one({}), { kernel_not: ['B70'], missing: { kernel: 'refuse' } })?.observed).toBe(
      'no kernel',
    );
    expect(verdict('contrast', one({}), { contrast: 'none', missing: { contrast: 'warn' } })).toMatchObject({
      level: 'warn',
    });
    expect(verdict('contrast', one({}), { contrast: 'given' })).toMatchObject({
      level: 'refuse',
      observed: 'no word on contrast agent',
    });
  });

  it.each(['CT CHEST WITHOUT AND WITH CONTRAST', 'Thorax ohne und mit KM', 'CT CHEST W/WO CONTRAST'])(
    '%j says nothing of one series',
    (text) => {
      expect(verdict('contrast', one({ '00081030': text }), { contrast: 'given' })?.observed).toBe(
        'no word on contrast agent',
      );
    },
  );

  it('takes age and sex of the Patient where the images do not say, and only there', () => {
    const patient = { ...NO_CONTEXT, patient: { sex: 'F' as const, born: '2015-06-01' } };
    const dated = one({ '00080020': '20260115' });
    expect(verdict('sex', dated, { sex: ['F'] }, patient)).toBeNull();
    expect(verdict('age', dated, { age_years: { min: 18 } }, patient)?.observed).toBe('a younger patient');
    expect(verdict('age', one({ '00101010': '040Y' }), { age_years: { min: 18 } }, patient)).toBeNull();
    expect(verdict('sex', one({ '00100040': 'M' }), { sex: ['F'] }, patient)?.observed).toBe('male');
  });

  it('warns where images and record are not of one person, and refuses where the manifest says so', () => {
    const patient = { ...NO_CONTEXT, patient: { sex: 'F' as const, born: '1960-02-28' } };
    const mismatch = (tags: Values, fits: Partial<Fits> = {}, context = patient as GateContext) =>
      verdict('patient-mismatch', one(tags), fits, context);
    expect(mismatch({ '00100040': 'F', '00100030': '19600228' })).toBeNull();
    expect(mismatch({})).toBeNull();
    expect(mismatch({ '00100040': 'O', '00100030': '1960' })).toBeNull();
    expect(mismatch({ '00100040': 'M' }, {}, NO_CONTEXT)).toBeNull();
    expect(mismatch({ '00100040': 'M', '00100030': '19600228' })).toMatchObject({
      level: 'warn',
      observed: 'another sex in the images than in the record',
    });
    const both = mismatch({ '00100040': 'M', '00100030': '19610228' }, { patient_mismatch: 'refuse' });
    expect(both).toMatchObject({
      level: 'refuse',
      observed: expect.stringContaining('another sex and another birth date'),
    });
    expect(JSON.stringify(both)).not.toMatch(/196/);
  });

  it('refuses a patient with a problem that the manifest excludes, and does not say which', () => {
    const of = (...codes: string[]) => ({ ...NO_CONTEXT, problems: new Set(codes) });
    const fits = { problems_not: ['http://snomed.info/sct|49795001', 'Z90.2'] };
    expect(verdict('problem', one({}), fits, of('http://snomed.info/sct|195967001'))).toBeNull();
    expect(verdict('problem', one({}), {}, of('Z90.2'))).toBeNull();
    for (const code of fits.problems_not) {
      const found = verdict('problem', one({}), fits, of(code));
      expect(found).toMatchObject({ level: 'refuse', rule: 'problem' });
      expect(JSON.stringify(found)).not.toContain(code);
    }
  });

  it('several points in time and PET values are warned of', () => {
    const twice = [...stack([0, 1], { ...CT, '00200100': 1 }), ...stack([0, 1], { ...CT, '00200100': 2 })];
    expect(verdict('geometry', twice, {})).toMatchObject({ level: 'warn', observed: '2 points in time' });
    expect(verdict('geometry', stack([0, 1], { '00080060': 'PT' }), {})?.level).toBe('warn');
  });

  it('the protocol of the site warns or refuses as the manifest says; what is not stated only where it says so', () => {
    const deviates = (onlyMissing: boolean): GateContext => ({
      ...NO_CONTEXT,
      protocolDeviation: () => ({ observed: 'kVp 140 kV', required: 'kVp 100 to 120 kV (p 1)', onlyMissing }),
    });
    expect(verdict('protocol', one({}), {}, deviates(false))).toBeNull();
    expect(verdict('protocol', one({}), { protocol: 'warn' }, deviates(false))).toMatchObject({
      level: 'warn',
      observed: 'kVp 140 kV',
    });
    expect(verdict('protocol', one({}), { protocol: 'refuse' }, deviates(false))).toMatchObject({
      level: 'refuse',
    });
    expect(verdict('protocol', one({}), { protocol: 'refuse' }, deviates(true))).toBeNull();
    expect(
      verdict('protocol', one({}), { protocol: 'warn', missing: { protocol: 'refuse' } }, deviates(true)),
    ).toMatchObject({ level: 'refuse' });
    expect(verdict('protocol', one({}), { protocol: 'warn' })).toBeNull();
  });

  it('a manifest with an attribute that is no keyword known here is refused', () => {
    const example = parse(
      readFileSync(
        resolve(
          import.meta.dirname,
          '../../../test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0/manifest.yaml',
        ),
        'utf8',
      ),
    );
    const faults = (attributes: readonly string[]) =>
      checkManifest({ ...example, fits: { ...example.fits, attributes } }).faults;
    expect(faults(['0018,00'])).toMatchObject([{ at: '/fits/attributes/0' }]);
    expect(faults(['PatientPosition', 'FluxCapacitor'])).toMatchObject([{ at: '/fits/attributes/1' }]);
    expect(faults(['PatientPosition', '0018,0060'])).toEqual([]);
  });
});
