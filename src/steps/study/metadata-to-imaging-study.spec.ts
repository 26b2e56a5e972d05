import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { datasetToJson } from '../../dicom/dataset-to-json.ts';
import { readPart10 } from '../../dicom/read-part10.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { validateResource } from '../../fhir/validate/validate-resource.ts';
import { BODY_PART_CODES } from './body-part-codes.ts';
import { metadataToImagingStudy } from './metadata-to-imaging-study.ts';
import { metadataToPatient } from './metadata-to-patient.ts';

const DATA = '../shared/data';
const AROUND = { timeZone: null, subject: { reference: 'Patient/p' }, endpoint: { reference: 'Endpoint/e' } };

/** One attribute in the DICOM JSON model. */
const at = (vr: string, ...Value: unknown[]) => ({ vr, Value });

function instance(more: Record<string, { vr: string; Value?: unknown[] }> = {}): DicomJson {
  return {
    '00080005': at('CS', 'ISO_IR 192'),
    '00080008': at('CS', 'ORIGINAL', 'PRIMARY', 'AXIAL'),
    '00080016': at('UI', '1.2.840.10008.5.1.4.1.1.2'),
    '00080018': at('UI', '1.2.3.1.1'),
    '00080020': at('DA', '20260131'),
    '00080021': at('DA', '20260131'),
    '00080030': at('TM', '101112.500000'),
    '00080031': at('TM', '1015'),
    '00080050': at('SH', 'A-77'),
    '00080060': at('CS', 'CT'),
    '00080090': at('PN', { Alphabetic: 'REFERRER^RITA^^Dr' }),
    '00080201': at('SH', '+0100'),
    '00081030': at('LO', 'CT Thorax'),
    '00081032': at('SQ', {
      '00080100': at('SH', '36813-4'),
      '00080102': at('SH', 'LN'),
      '00080104': at('LO', 'CT Abdomen'),
    }),
    '0008103E': at('LO', 'Lung 1.0'),
    '00081050': at('PN', { Alphabetic: 'PERFORMER^PAT' }),
    '00081060': at('PN', { Alphabetic: 'READER^ONE' }, { Alphabetic: 'READER^TWO' }),
    '00081070': at('PN', { Alphabetic: 'TECH^TOM' }),
    '00100010': at('PN', { Alphabetic: 'YAMADA^TARO', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' }),
    '00100020': at('LO', '4711'),
    '00100021': at('LO', 'HOSP'),
    '00100030': at('DA', '19700203'),
    '00100040': at('CS', 'M'),
    '00180015': at('CS', 'CHEST'),
    '0020000D': at('UI', '1.2.3'),
    '0020000E': at('UI', '1.2.3.1'),
    '00200010': at('SH', 'S1'),
    '00200011': at('IS', 2),
    '00200013': at('IS', 7),
    '00200060': at('CS', 'L'),
    '00401002': at('LO', 'Cough'),
    ...more,
  };
}

describe('DICOM metadata to ImagingStudy', () => {
  beforeAll(() => loadDefinitions());

  it('maps every attribute of the study and the series that FHIR has a place for', () => {
    const study = metadataToImagingStudy([instance()], AROUND);
    expect(study).toMatchObject({
      status: 'available',
      identifier: [
        { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' },
        { type: { coding: [{ code: 'ACSN' }] }, value: 'A-77' },
        { type: { text: 'Study ID' }, value: 'S1' },
      ],
      modality: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'CT' }],
      subject: { reference: 'Patient/p' },
      started: '2026-01-31T10:11:12+01:00',
      referrer: { display: 'Dr RITA REFERRER' },
      interpreter: [{ display: 'ONE READER' }, { display: 'TWO READER' }],
      endpoint: [{ reference: 'Endpoint/e' }],
      numberOfSeries: 1,
      numberOfInstances: 1,
      procedureCode: [{ coding: [{ system: 'http://loinc.org', code: '36813-4', display: 'CT Abdomen' }] }],
      reasonCode: [{ text: 'Cough' }],
      description: 'CT Thorax',
      series: [
        {
          uid: '1.2.3.1',
          number: 2,
          modality: { code: 'CT' },
          description: 'Lung 1.0',
          numberOfInstances: 1,
          bodySite: { system: 'http://snomed.info/sct', code: '816094009' },
          laterality: { code: '7771000' },
          started: '2026-01-31T10:15:00+01:00',
          performer: [{ actor: { display: 'PAT PERFORMER' } }, { actor: { display: 'TOM TECH' } }],
          instance: [
            {
              uid: '1.2.3.1.1',
              number: 7,
              sopClass: { code: 'urn:oid:1.2.840.10008.5.1.4.1.1.2' },
              title: 'ORIGINAL\\PRIMARY\\AXIAL',
            },
          ],
        },
      ],
    });
    expect(() => validateResource(study)).not.toThrow();
  });

  it('gives the same resource whatever the order of the instances, and counts them', () => {
    const instances = [3, 1, 2].map((n) =>
      instance({ '00080018': at('UI', `1.2.3.1.${n}`), '00200013': at('IS', n), '00201208': at('IS', 99) }),
    );
    const study = metadataToImagingStudy(instances, AROUND);
    expect(study).toEqual(metadataToImagingStudy([...instances].reverse(), AROUND));
    expect(study.numberOfInstances).toBe(3);
    expect(study.series?.[0]?.instance?.map((one) => one.number)).toEqual([1, 2, 3]);
  });

  it('leaves series made from images out of the modalities, unless there is nothing else', () => {
    const report = instance({
      '00080018': at('UI', '1.2.3.9.1'),
      '0020000E': at('UI', '1.2.3.9'),
      '00080060': at('CS', 'SR'),
    });
    const codes = (rows: DicomJson[]) =>
      metadataToImagingStudy(rows, AROUND).modality?.map((coding) => coding.code);
    expect(codes([instance(), report])).toEqual(['CT']);
    expect(codes([report])).toEqual(['SR']);
  });

  it.each([
    ['no zone at all', { '00080201': { vr: 'SH' } }, null, '2026-01-31'],
    ['a zone that is none', { '00080201': at('SH', '+9900') }, null, '2026-01-31'],
    ['the zone of the site', { '00080201': { vr: 'SH' } }, 'America/New_York', '2026-01-31T10:11:12-05:00'],
    ['no time', { '00080030': { vr: 'TM' } }, null, '2026-01-31'],
    ['a time that is none', { '00080030': at('TM', '9999') }, null, '2026-01-31'],
    [
      'a date of the old form',
      { '00080020': at('DA', '2026.01.31'), '00080030': { vr: 'TM' } },
      null,
      '2026-01-31',
    ],
    [
      'a date that is none, and takes that of the series',
      { '00080020': at('DA', '20260231') },
      null,
      '2026-01-31T10:15:00+01:00',
    ],
  ])('writes the start with %s', (_what, more, timeZone, started) => {
    expect(metadataToImagingStudy([instance(more)], { ...AROUND, timeZone }).started).toBe(started);
  });

  it('prefers the coded anatomic region and keeps a body part that has no code as text', () => {
    const site = (more: Parameters<typeof instance>[0]) =>
      metadataToImagingStudy([instance(more)], AROUND).series?.[0]?.bodySite;
    const lung = {
      '00080100': at('SH', '39607008'),
      '00080102': at('SH', 'SCT'),
      '00080104': at('LO', 'Lung'),
    };
    expect(site({ '00082218': at('SQ', lung) })).toEqual({
      system: 'http://snomed.info/sct',
      code: '39607008',
      display: 'Lung',
    });
    expect(site({ '00180015': at('CS', 'TORAX AP') })).toEqual({ display: 'TORAX AP' });
    expect(site({ '00180015': { vr: 'CS' } })).toBeUndefined();
  });

  it.each([
    ['instances of two studies', [instance(), instance({ '0020000D': at('UI', '1.2.4') })]],
    ['instances of two patients', [instance(), instance({ '00100020': at('LO', '4712') })]],
    ['an instance with a path for a UID', [instance({ '00080018': at('UI', '../../x') })]],
    ['no instance', []],
  ])('refuses %s', (_what, rows) => {
    expect(() => metadataToImagingStudy(rows, AROUND)).toThrow(
      expect.objectContaining({ code: 'study.contradictory' }),
    );
  });

  it('leaves out numbers that are none', () => {
    const study = metadataToImagingStudy(
      [instance({ '00200011': at('IS', -1), '00200013': at('IS', 'x') })],
      AROUND,
    );
    expect(study.series?.[0]).not.toHaveProperty('number');
    expect(study.series?.[0]?.instance?.[0]).not.toHaveProperty('number');
    expect(() => validateResource(study)).not.toThrow();
  });
});

describe('DICOM metadata to Patient', () => {
  beforeAll(() => loadDefinitions());

  it('maps number with issuer, the name in its three writings, birth date and sex', () => {
    const patient = metadataToPatient(instance());
    expect(patient).toMatchObject({
      identifier: [
        { use: 'usual', type: { coding: [{ code: 'MR' }] }, value: '4711', assigner: { display: 'HOSP' } },
      ],
      name: [
        { text: 'TARO YAMADA', family: 'YAMADA', given: ['TARO'] },
        { extension: [{ valueCode: 'IDE' }], family: '山田' },
        { extension: [{ valueCode: 'SYL' }], family: 'やまだ' },
      ],
      gender: 'male',
      birthDate: '1970-02-03',
    });
    expect(() => validateResource(patient)).not.toThrow();
  });

  it('leaves out what is empty or no date, sex or name', () => {
    const empty = {
      '00100010': at('PN', { Alphabetic: '^^^' }),
      '00100020': { vr: 'LO' },
      '00100030': at('DA', '19701399'),
      '00100040': at('CS', 'X'),
    };
    expect(metadataToPatient(instance(empty))).toEqual({ resourceType: 'Patient' });
  });
});

describe.skipIf(!existsSync(DATA))(
  `real files${existsSync(DATA) ? '' : ' (skipped: no shared data)'}`,
  () => {
    beforeAll(() => loadDefinitions());

    it('become valid resources, one study at a time', () => {
      const studies = Map.groupBy(filesUnder(join(DATA, 'dicom')).flatMap(metadataOf), (row) =>
        String(row['0020000D']?.Value?.[0]),
      );
      let made = 0;
      for (const rows of studies.values()) {
        const distinct = [...new Map(rows.map((row) => [String(row['00080018']?.Value?.[0]), row])).values()];
        try {
          const study = metadataToImagingStudy(distinct, AROUND);
          validateResource(study);
          validateResource({ ...metadataToPatient(distinct[0]!), id: 'p' });
          made++;
        } catch (error) {
          // Files put together for other tests may share a study and not the patient; any other failure counts.
          expect(error).toMatchObject({ code: 'study.contradictory' });
        }
      }
      expect(made).toBeGreaterThan(40);
    });

    it('the body part codes are those of the collected table', () => {
      const table = JSON.parse(
        readFileSync(join(DATA, 'terminology/bodysite_snomed.json'), 'utf8'),
      ) as Record<string, string>[];
      for (const [part, [code, display]] of Object.entries(BODY_PART_CODES)) {
        expect(table).toContainEqual(
          expect.objectContaining({
            'Body Part Examined': part,
            'Code Value': code,
            'Code Meaning': display,
          }),
        );
      }
    });
  },
);

function metadataOf(path: string): DicomJson[] {
  try {
    return [datasetToJson(readPart10(readFileSync(path), { stopBeforePixels: true }).dataset)];
  } catch {
    return []; // files that are broken on purpose
  }
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}
