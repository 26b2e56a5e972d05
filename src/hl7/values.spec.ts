import { describe, expect, it } from 'vitest';
import { authorityOfIdentifier, authorityToIdentifier, systemOfAuthority } from './assigning-authority.ts';
import { CODE_SYSTEM_NAMES, nameOfSystem, systemOfName } from './code-system-names.ts';
import { dateTimeToTimestamp, timestampToDate, timestampToDateTime } from './timestamp.ts';

describe('HL7 times as FHIR times', () => {
  it.each([
    ['2026', '2026'],
    ['202601', '2026-01'],
    ['20260115', '2026-01-15'],
    ['2026011509', '2026-01-15T09:00:00+01:00'],
    ['202601150930', '2026-01-15T09:30:00+01:00'],
    ['20260715093015.1234', '2026-07-15T09:30:15+02:00'],
    ['20260115093015-0530', '2026-01-15T09:30:15-05:30'],
    ['20260329013000', '2026-03-29T01:30:00+01:00'],
    ['20260329033000', '2026-03-29T03:30:00+02:00'],
  ])('reads %s as %s', (text, expected) => {
    expect(timestampToDateTime(text, 'Europe/Berlin')).toBe(expected);
  });

  it.each(['00000101', '20260115093015+9999', '20260115093015-0099', '20260115093015+1430'])(
    'refuses "%s", which FHIR has no way to write',
    (text) => {
      expect(timestampToDateTime(text, 'UTC')).toBeNull();
    },
  );

  it.each(['', 'Aug 15, 1942', '20261301', '20260230', '2026011525', '202601150961', '2026-01-15', '202'])(
    'refuses "%s"',
    (text) => {
      expect(timestampToDateTime(text, 'UTC')).toBeNull();
    },
  );

  it.each([
    ['20260115093015', '2026-01-15'],
    ['20260115', '2026-01-15'],
    ['20260115093015+0100', '2026-01-15T09:30:15+01:00'],
  ])('reads %s as %s where no zone is known', (text, expected) => {
    expect(timestampToDateTime(text, null)).toBe(expected);
  });

  it('refuses a time of day that is none, also where no zone is known', () => {
    expect(timestampToDateTime('202601152961', null)).toBeNull();
  });

  it('drops the time of day of a date of birth', () => {
    expect(timestampToDate('198808181126+0215')).toBe('1988-08-18');
  });

  it('writes times in the zone of the receiver and dates as they are', () => {
    const berlin = { timeZone: 'Europe/Berlin', zoneOffset: true };
    expect(dateTimeToTimestamp('2026-01-15T10:15:22.999Z', berlin)).toBe('20260115111522+0100');
    expect(dateTimeToTimestamp('2026-07-15T23:15:22Z', { ...berlin, zoneOffset: false })).toBe(
      '20260716011522',
    );
    expect(
      dateTimeToTimestamp('2026-01-15T10:15:22Z', { timeZone: 'America/St_Johns', zoneOffset: true }),
    ).toBe('20260115064522-0330');
    expect(['1965-02-14', '1965-02', undefined, 'T'].map((one) => dateTimeToTimestamp(one, berlin))).toEqual([
      '19650214',
      '196502',
      '',
      '',
    ]);
  });
});

describe('Names of coding systems', () => {
  it('are the same both ways, with aliases and in any case inbound', () => {
    for (const { name, url } of CODE_SYSTEM_NAMES)
      expect([nameOfSystem(url), systemOfName(name.toLowerCase())]).toEqual([name, url]);
    expect(systemOfName('RID')).toBe('http://radlex.org');
    expect(systemOfName('99RADLEX')).toBe('http://radlex.org');
  });

  it('keep a local name and call the unknown local', () => {
    expect(nameOfSystem(systemOfName('99 Häuser/x'))).toBe('99 Häuser/x');
    expect([nameOfSystem('http://unknown'), nameOfSystem(undefined), systemOfName('')]).toEqual([
      'L',
      'L',
      undefined,
    ]);
  });
});

describe('Assigning authorities', () => {
  const UUID = '9adf2339-de71-4c66-8063-e3ddf5d07000';
  const named = (name: string) => `https://prelim.example/fhir/NamingSystem/hl7v2/placer/${name}`;
  const of = (namespace: string, universalId = '', universalIdType = '') => ({
    namespace,
    universalId,
    universalIdType,
  });

  it.each([
    ['an OID', of('HOSP', '1.2.3', 'ISO'), 'urn:oid:1.2.3'],
    ['a UUID', of('HOSP', UUID, 'UUID'), `urn:uuid:${UUID}`],
    ['a UUID in capitals', of('', UUID.toUpperCase(), 'UUID'), `urn:uuid:${UUID}`],
    ['a URI', of('HOSP', 'https://hosp.example/mrn', 'URI'), 'https://hosp.example/mrn'],
    ['an OID as URI', of('', 'urn:oid:1.2.3', 'URI'), 'urn:oid:1.2.3'],
    ['a URN', of('HOSP', 'urn:nhs:mrn', 'URN'), 'urn:nhs:mrn'],
    ['a name of the net', of('HOSP', 'hosp.example', 'DNS'), named('HOSP')],
    ['a name of the net alone', of('', 'hosp.example', 'DNS'), named('hosp.example')],
    ['an OID whose type is written small', of('HOSP', '1.2.3', 'iso'), named('HOSP')],
    ['an id without a type', of('HOSP', '1.2.3'), named('HOSP')],
    ['what is no OID', of('HOSP', '9.x', 'ISO'), named('HOSP')],
    ['what is no URI', of('HOSP', 'a b', 'URI'), named('HOSP')],
    ['a type alone', of('', '', 'ISO'), 'https://prelim.example/fhir/NamingSystem/hl7v2-from/placer/F'],
    ['a name', of('Clinic & Söhne'), named('Clinic%20%26%20S%C3%B6hne')],
    ['nothing', of(''), 'https://prelim.example/fhir/NamingSystem/hl7v2-from/placer/F'],
  ])('named by %s come back as they were', (_, authority, system) => {
    const identifier = authorityToIdentifier('placer', authority, 'F');
    expect([identifier.system, authorityOfIdentifier(identifier)]).toEqual([system, authority]);
    expect(systemOfAuthority('placer', authority, 'F')).toBe(system);
  });

  it('are what the system says where that was changed since, or where there is nothing else', () => {
    const dns = authorityToIdentifier('patient', of('HOSP', 'hosp.example', 'DNS'), '');
    expect(dns.extension).toHaveLength(1);
    expect(authorityOfIdentifier({ ...dns, system: 'urn:oid:1.2.4' })).toEqual(of('HOSP', '1.2.4', 'ISO'));
    expect(authorityOfIdentifier({ ...dns, system: 'http://other.example' })).toEqual(
      of('HOSP', 'http://other.example', 'URI'),
    );
    expect(authorityOfIdentifier({ system: 'http://ehr.example/mrn' })).toEqual(
      of('', 'http://ehr.example/mrn', 'URI'),
    );
    for (const system of [undefined, 'no uri', 'https://prelim.example/fhir/NamingSystem/accession'])
      expect(authorityOfIdentifier(system === undefined ? undefined : { system })).toEqual(of(''));
    expect(authorityOfIdentifier({ system: named('%zz') })).toEqual(of('%zz'));
    expect(() => systemOfAuthority('patient', of('\ud800'), '')).not.toThrow();
  });

  it('keep numbers of different kinds and of different senders apart', () => {
    const systems = [
      systemOfAuthority('placer', of('A'), 'F'),
      systemOfAuthority('filler', of('A'), 'F'),
      systemOfAuthority('placer', of(''), 'F'),
      systemOfAuthority('placer', of(''), 'G'),
      systemOfAuthority('placer', of('F'), ''),
    ];
    expect(new Set(systems).size).toBe(systems.length);
    expect(authorityOfIdentifier({ system: systems[2]! })).toEqual(of(''));
  });
});
