import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../src/hl7/codec.ts';
import { compareMessages } from '../../src/steps/ris/compare-messages.ts';
import { readDestinationFile } from '../../src/steps/ris/destination-file.ts';
import { isMeantFor } from '../../src/steps/ris/is-meant-for.ts';
import type { OruInput } from '../../src/steps/ris/oru-input.ts';
import { reportToOru } from '../../src/steps/ris/report-to-oru.ts';
import { nameProfile, readRisProfile } from '../../src/steps/ris/ris-profile.ts';
import { RECORD, REPORT } from './out-record.ts';

const make = (profile: unknown, change: Partial<OruInput> = {}) =>
  reportToOru({
    ...RECORD,
    ...change,
    profile: readRisProfile(profile),
    controlId: 'P1768000000001',
    now: new Date('2026-01-15T10:15:22Z'),
  });
const read = (profile: unknown, change: Partial<OruInput> = {}) => readMessage(make(profile, change).bytes);
const faultsOf = (profile: unknown): string[] => {
  try {
    readRisProfile(profile);
    return [];
  } catch (error) {
    return (error as { issues: { at: string; text: string }[] }).issues.map(
      ({ at, text }) => `${at} ${text}`,
    );
  }
};

describe('Field overrides', () => {
  it('set, drop, copy, constant and look up, one after the other', () => {
    const message = read({
      tables: { site: { HOSP: 'H1' } },
      overrides: [
        { at: 'MSH-8', constant: 'KEY|1' },
        { at: 'OBR-20', drop: true },
        { at: 'ORC-3', copy: 'OBR-18' },
        { at: 'PID-3(1).4.1', lookup: 'site' },
        { at: 'OBR-13', set: '{accession}/{visit}' },
        { at: 'OBR-18', set: 'NOT WRITTEN, FOR IT IS FILLED' },
        { at: 'OBX-8', drop: true, where: { field: 'OBX-2', equals: 'CWE' } },
        { at: 'NTE', drop: true },
      ],
    });
    expect(message.get('MSH', 1, 8)).toBe('KEY|1');
    expect(message.get('OBR', 1, 20)).toBe('');
    expect(message.get('ORC', 1, 3)).toBe('ACC0012345');
    expect(message.get('PID', 1, 3, 4)).toBe('H1');
    expect(message.get('OBR', 1, 13)).toBe('ACC0012345/V0009988');
    expect(message.get('OBR', 1, 18)).toBe('ACC0012345');
    expect(message.all('OBX').filter((line) => line.get(2) === 'CWE' && line.get(8) !== '')).toEqual([]);
    expect(message.all('NTE')).toEqual([]);
  });

  it('reach one segment of several, one repetition, and a subcomponent that was not there', () => {
    const message = read({
      overrides: [
        { at: 'OBX(2)-15', constant: 'SECOND' },
        { at: 'PID-3(2).5', constant: 'XX' },
        { at: 'PV1-7.9.2', constant: 'DEEP' },
      ],
    });
    expect(message.all('OBX').map((line) => line.get(15))).toContain('SECOND');
    expect(message.all('OBX').filter((line) => line.get(15) === 'SECOND')).toHaveLength(1);
    expect(message.get('PID', 1, 3, 5, 1, 2)).toBe('XX');
    expect(message.get('PV1', 1, 7, 9, 2)).toBe('DEEP');
  });

  it('cannot make a preliminary result look final, nor touch what answers are matched by', () => {
    for (const at of ['OBR-25', 'OBX-11', 'ORC-5', 'MSH-10', 'MSH-7', 'OBR-22', 'MSH-18'])
      expect(faultsOf({ overrides: [{ at, constant: 'F' }] })).toEqual([
        expect.stringMatching(/^overrides\/0\/at (has|is)/),
      ]);
    expect(faultsOf({ overrides: [{ at: 'OBR', drop: true }] })).toHaveLength(1);
    // A longer path into the same field is the same field.
    expect(faultsOf({ overrides: [{ at: 'OBX(1)-11(1).1', constant: 'F' }] })).toHaveLength(1);
  });

  it('are refused where they would never do anything, or would stop every message', () => {
    const faults = faultsOf({
      overrides: [
        { at: 'ZDS-1', constant: 'x' },
        { at: 'PID-201', constant: 'x' },
        { at: 'PID-2', copy: 'PV2-3' },
        { at: 'OBR-13', set: '{acession}' },
        { at: 'OBX-8', drop: true, where: { field: 'OBR-4', equals: 'x' } },
        { at: 'OBX-8', drop: true, where: { field: 'OBX', equals: 'x' } },
        { at: 'OBX-1', constant: '7' },
        { at: 'OBX-5', lookup: 'constructor' },
      ],
    });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual(
      ['0/at', '1/at', '2/copy', '3/set', '4/where/field', '5/where/field', '6/at', '7/lookup'].map(
        (at) => `overrides/${at}`,
      ),
    );
    for (const replacement of ['|', '^', '~', '&', '\\'])
      expect(faultsOf({ replacement })).toEqual([
        expect.stringMatching(/^replacement must be .* no delimiter/),
      ]);
    expect(faultsOf({ replacement: '?' })).toEqual([]);
    expect(faultsOf({ viewerUrl: 'https://v.example/{mrn}' })).toEqual([expect.stringMatching(/^viewerUrl/)]);
  });

  it('take a repetition out whole, write no blank of unknown numbers, and look up only what a table has', () => {
    const { encounter: _none, ...rest } = RECORD;
    const { bytes } = reportToOru({
      ...rest,
      patient: { ...RECORD.patient, name: [{ family: 'constructor' }] },
      profile: readRisProfile({
        tables: { names: { A: 'B' } },
        overrides: [
          { at: 'PID-3(1)', drop: true },
          { at: 'OBR-13', set: '{visit} {visit}' },
          { at: 'PID-5.1', lookup: 'names', otherwise: 'OTHER' },
        ],
      }),
      controlId: '1',
      now: new Date(0),
    });
    const fields = bytes
      .toString()
      .split('\r')
      .map((line) => line.split('|'));
    expect(fields[1]?.[3]).toBe('77^^^CLINIC&1.2.3&ISO^PI');
    expect(fields[1]?.[5]).toBe('OTHER^^^^^^L');
    expect(fields[4]?.[13]).toBe('');
  });

  it('are refused with every fault at once, and no value is repeated', () => {
    const faults = faultsOf({
      charset: 'SECRET-VALUE',
      overrides: [
        { at: 'pid3', constant: 'x' },
        { at: 'PID-3', constant: 'x', drop: true },
        { at: 'PID-3' },
        { at: 'PID-3', paint: 'red' },
      ],
    });
    expect(faults.length).toBeGreaterThanOrEqual(5);
    expect(faults.join()).not.toContain('SECRET-VALUE');
    expect(faultsOf({ overrides: [{ at: 'PID-3', lookup: 'none' }] })).toEqual([
      'overrides/0/lookup names no table of this profile',
    ]);
    expect(faultsOf('not an object')).toHaveLength(1);
  });
});

describe('What a receiver takes', () => {
  it('a PDF over the limit becomes a link, and without one a line that says so', () => {
    const large = {
      report: { ...REPORT, presentedForm: [{ contentType: 'application/pdf', data: 'A'.repeat(200) }] },
    };
    const link = make({ edCharactersMax: 100, reportUrl: 'https://r.example/{reportId}' }, large);
    expect(link.bytes.toString()).toContain(
      '|RP|11528-7^Radiology Report^LN||https://r.example/golden-report^PRELIM^application^PDF',
    );
    expect(link.leftOut).toEqual([]);
    const none = make({ edCharactersMax: 100 }, large);
    expect(none.bytes.toString()).toContain('is not in this message');
    expect(none.leftOut).toHaveLength(1);
    expect(faultsOf({ reportUrl: 'https://r.example/?id=1&x=2' })).toEqual([
      expect.stringMatching(/^reportUrl must be empty, or begin with .* and have no query/),
    ]);
  });

  it('versions before 2.5 have CE, and 2.3.1 no third component in MSH-9', () => {
    expect(make({ version: '2.4' }).bytes.toString()).toMatch(/\|CE\|/);
    expect(make({ version: '2.5' }).bytes.toString()).toMatch(/\|CWE\|/);
    expect(read({ version: '2.3.1' }).get('MSH', 1, 9, 3)).toBe('');
  });

  it('enhanced mode fills MSH-15 and MSH-16 as far as the receiver answers', () => {
    const both = read({ ackMode: 'enhanced' });
    expect([both.get('MSH', 1, 15), both.get('MSH', 1, 16)]).toEqual(['AL', 'AL']);
    expect(read({ ackMode: 'enhanced', commitIsSuccess: true }).get('MSH', 1, 16)).toBe('NE');
    expect(read({}).get('MSH', 1, 15)).toBe('');
  });
});

describe('A profile', () => {
  it('has a version that changes with its content, and starts from a ready one', () => {
    const one = nameProfile('x', readRisProfile({ profileVersion: '3' }));
    const two = nameProfile('x', readRisProfile({ profileVersion: '3', minGapMs: 1 }));
    expect(one.version).toMatch(/^3\+[0-9a-f]{12}$/);
    expect(two.version).not.toBe(one.version);
    expect(readRisProfile({ extends: 'legacy-text-2.3.1', charset: 'ASCII' })).toMatchObject({
      version: '2.3.1',
      charset: 'ASCII',
    });
  });

  it('writes times in the zone of the site where they do not say theirs', () => {
    const base = { timeZone: 'Europe/Vienna' };
    expect(readRisProfile({ extends: 'legacy-text-2.3.1' }, base).timeZone).toBe('Europe/Vienna');
    expect(readRisProfile({}, base).timeZone).toBe('UTC');
    expect(readRisProfile({ timeZone: 'Asia/Tokyo', zoneOffset: false }, base).timeZone).toBe('Asia/Tokyo');
  });

  it('is told from another field by field', () => {
    const text = (profile: unknown) => make(profile).bytes.toString('utf8');
    const found = compareMessages(text({}), text({ accession: 'OBR-20', receivingFacility: 'OTHER' }));
    expect(found).toEqual([
      { at: 'MSH-6', one: 'HOSPITAL', other: 'OTHER' },
      { at: 'OBR-18', one: 'ACC0012345', other: '' },
      { at: 'OBR-20', one: 'SPS0001', other: 'ACC0012345' },
    ]);
    expect(compareMessages(text({}), text({}))).toEqual([]);
    // A line more moves those after it, and is one difference.
    const without = compareMessages(text({}), text({ studyUid: 'none', criticalFlags: true }));
    expect(without.map(({ at }) => at)).toEqual(['OBX(1)', 'OBX(4)-8']);
    expect(compareMessages(text({ studyUid: 'none' }), text({})).map(({ at }) => at)).toEqual(['OBX(1)']);
  });
});

describe('The file of destinations', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prelim-destinations-'));
  const file = (value: unknown) => {
    const path = join(folder, 'destinations.yaml');
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
    return path;
  };

  it('gives each receiver an address, a profile and a filter, in YAML or JSON', () => {
    const path = file(
      'destinations:\n  - name: archive\n    url: mllp://10.0.0.1:2575\n    profile: dcm4chee-rad-28\n    filter: { modality: [CT] }\n  - name: ris\n    url: mllp://10.0.0.2:2575\n    profile: { charset: ASCII }\n',
    );
    const [archive, ris] = readDestinationFile(path, { sendingFacility: 'HERE' });
    expect(archive).toMatchObject({
      name: 'archive',
      profileName: 'dcm4chee-rad-28',
      filter: { modality: ['CT'] },
    });
    expect(ris).toMatchObject({ profileName: 'ris', profile: { charset: 'ASCII' } });
    expect(isMeantFor(archive?.filter ?? {}, RECORD)).toBe(false);
    expect(isMeantFor({ modality: ['CT', 'DX'], orderFrom: ['OE'] }, RECORD)).toBe(true);
    expect(isMeantFor({ orderFrom: ['OTHER'] }, RECORD)).toBe(false);
  });

  it('is refused with every fault named', () => {
    const bad = file({
      destinations: [
        { name: 'a', url: 'mllp://h:1', profile: { colour: 'red', charset: 'X' } },
        { name: 'a', url: 'mllp://h:1', tls: { ca: 'none.pem' }, profile: 'no-such' },
      ],
    });
    try {
      readDestinationFile(bad, {});
      expect.unreachable();
    } catch (error) {
      const places = (error as { issues: { at: string }[] }).issues.map(({ at }) => at);
      expect(places).toEqual(
        expect.arrayContaining([
          'destinations/0/profile/colour',
          'destinations/0/profile/charset',
          'destinations/1/name',
          'destinations/1/profile',
        ]),
      );
      expect(places.some((at) => at.startsWith('destinations/1/tls'))).toBe(true);
    }
    const refused = expect.objectContaining({ code: 'ris.destinations' });
    for (const text of ['{', 'destinations: []', '[]', 'destinations: [{ name: x, url: "http://h:1" }]'])
      expect(() => readDestinationFile(file(text), {})).toThrow(refused);
    expect(() => readDestinationFile(join(folder, 'none'), {})).toThrow(refused);
  });
});
