import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { compareVersions } from './compare-versions.ts';
import type { Manifest } from './manifest.ts';
import { deviceId, manifestToDevice } from './manifest-to-device.ts';
import { histogramRule } from './pixel-rules.ts';
import { reasonForExam, reasonsOf } from './reason-for-exam.ts';

const EXAMPLE = new URL(
  '../../test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0/manifest.yaml',
  import.meta.url,
);
const manifest = parse(readFileSync(EXAMPLE, 'utf8')) as Manifest;

describe('versions', () => {
  it('are ordered as Semantic Versioning 2.0.0 orders them', () => {
    const sorted = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.2.0',
      '1.10.0',
    ];
    expect([...sorted].reverse().sort(compareVersions)).toEqual(sorted);
  });
});

describe('the Device of a model', () => {
  it('names the version, its UID, and what it is for', () => {
    const device = manifestToDevice(manifest);
    expect(device.id).toBe('model-cxr15-mobilenetv3-int8-1.0.0');
    expect(device.identifier?.map(({ value }) => value)).toEqual([
      'cxr15-mobilenetv3-int8@1.0.0',
      `urn:oid:${manifest.device.uid}`,
    ]);
    expect(device.version).toEqual([{ value: '1.0.0' }]);
    expect(JSON.stringify(device.note)).toContain('Not for clinical use');
  });

  it('has an id that FHIR accepts, however long the names are', () => {
    const long = { id: 'a'.repeat(48), version: '1.0.0-candidate.12345' };
    expect(deviceId(long)).toMatch(/^[A-Za-z0-9.-]{1,64}$/);
    expect(deviceId(long)).not.toBe(deviceId({ ...long, version: '1.0.0-candidate.12346' }));
  });
});

describe('the rule histogram', () => {
  const fits = { histogram: { distinct_min: 64, single_value_share_max: 0.6 } };

  it('refuses a test pattern of few grey levels', () => {
    const pattern = Uint16Array.from({ length: 1000 }, (_, i) => i % 17);
    expect(histogramRule(pattern, fits)).toMatchObject({
      rule: 'histogram',
      observed: '17 distinct pixel values',
    });
  });

  it('refuses an image that is nearly blank', () => {
    const blank = Int16Array.from({ length: 1000 }, (_, i) => (i < 700 ? -1024 : i));
    expect(histogramRule(blank, fits)?.observed).toBe('one pixel value fills 70 % of the image');
  });

  it('lets a spread image pass, signed, unsigned or beyond 16 bits', () => {
    for (const shift of [-20_000, 0, 40_000, 1e9]) {
      const image = Float64Array.from({ length: 1000 }, (_, i) => (i % 200) + shift);
      expect(histogramRule(image, fits), String(shift)).toBeNull();
    }
  });

  it('is not looked at when the manifest does not ask for it', () => {
    expect(histogramRule(new Uint8Array(100), {})).toBeNull();
  });
});

describe('the reason for an exam', () => {
  const order = {
    resourceType: 'ServiceRequest' as const,
    status: 'active' as const,
    intent: 'order' as const,
    subject: { reference: 'Patient/1' },
    reasonCode: [{ coding: [{ code: 'R05', display: 'Cough' }] }],
    reasonReference: [
      { reference: 'Condition/1', display: 'Pneumonia\r\nleft' },
      { reference: 'Condition/2', display: 'Cough' },
      { reference: 'Condition/3' },
    ],
  };

  it('is the codes of the order, then the diagnoses that came with it, each once and on one line', () => {
    expect(reasonForExam(reasonsOf(order), [{ text: 'of the images' }])).toBe('Cough; Pneumonia left');
    expect(reasonForExam(reasonsOf(null), [{ text: 'of the images' }])).toBe('of the images');
  });
});
