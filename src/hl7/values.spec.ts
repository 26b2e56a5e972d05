import { describe, expect, it } from 'vitest';
import { authorityOfSystem, systemOfAuthority } from './assigning-authority.ts';
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
  const of = (namespace: string, universalId = '', universalIdType = '') => ({
    namespace,
    universalId,
    universalIdType,
  });

  it.each([
    ['an OID', of('HOSP', '1.2.3', 'ISO')],
    ['a UUID', of('HOSP', '9adf2339-de71-4c66-8063-e3ddf5d07000', 'UUID')],
    ['a name', of('Clinic & Söhne')],
  ])('named by %s come back as they were', (_, authority) => {
    expect(authorityOfSystem(systemOfAuthority('placer', authority, 'F'), authority.namespace)).toEqual(
      authority,
    );
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
    expect(authorityOfSystem(systems[2])).toEqual(of(''));
  });
});
