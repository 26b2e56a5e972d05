import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../../config/settings.ts';
import { type AlertFacts, findAlerts, isWatched } from './find-alerts.ts';

const QUIET: AlertFacts = {
  destinations: [],
  unconfigured: [],
  heldDestinations: [],
  filing: { waiting: 0, oldest_s: 0, held: 0 },
  deadOut: [],
  silent: [],
  inbound: { messages: 0, errors: 0 },
  outbound: { messages: 0, errors: 0 },
  certificates: [],
};
const LIMITS = { HL7_ALERT_UNSENT_S: 300, HL7_ALERT_ERROR_PERCENT: 10, HL7_ALERT_CERTIFICATE_DAYS: 30 };
const kinds = (facts: Partial<AlertFacts>, limits = LIMITS) =>
  findAlerts({ ...QUIET, ...facts }, limits).map(({ kind, about }) => `${kind} ${about}`);

describe('what is an alert', () => {
  test('nothing wrong is no alert', () => expect(kinds({})).toEqual([]));

  test('a message that waits longer than the limit, not one that waits shorter', () => {
    const destinations = [
      { destination: 'a', waiting: 1, oldest_s: 301 },
      { destination: 'b', waiting: 9, oldest_s: 299 },
    ];
    expect(kinds({ destinations })).toEqual(['unsent a']);
    expect(kinds({ unconfigured: [{ destination: 'gone', messages: 1 }] })).toEqual(['unconfigured gone']);
    expect(kinds({ deadOut: [{ destination: 'a', messages: 2 }] })).toEqual(['dead a']);
    expect(kinds({ filing: { waiting: 1, oldest_s: 301, held: 2 } })).toEqual(['unfiled in', 'dead in']);
  });

  test('certificates from the day that is set, ended ones too, and none when it is 0', () => {
    const certificates = [
      { name: 'far', days: 31 },
      { name: 'near', days: 29.5 },
      { name: 'over', days: -1 },
    ];
    expect(kinds({ certificates })).toEqual(['certificate near', 'certificate over']);
    expect(kinds({ certificates }, { ...LIMITS, HL7_ALERT_CERTIFICATE_DAYS: 0 })).toEqual([]);
  });

  test('a share of errors above the limit of enough messages', () => {
    expect(kinds({ inbound: { messages: 19, errors: 19 }, outbound: { messages: 100, errors: 10 } })).toEqual(
      [],
    );
    expect(kinds({ inbound: { messages: 20, errors: 3 }, outbound: { messages: 100, errors: 11 } })).toEqual([
      'errors in',
      'errors out',
    ]);
    expect(
      kinds({ inbound: { messages: 20, errors: 20 } }, { ...LIMITS, HL7_ALERT_ERROR_PERCENT: 0 }),
    ).toEqual([]);
  });
});

describe('the hours in which silence is an alert', () => {
  const hours = (text: string) => SETTINGS.HL7_ALERT_HOURS.kind.parse(text);
  const sunday = new Date('2026-03-01T09:30:00Z');

  test('are of the zone of the site, and of the days named', () => {
    expect(isWatched(hours('00:00-24:00'), null, sunday)).toBe(true);
    expect(isWatched(hours('07:00-09:30'), null, sunday)).toBe(false);
    expect(isWatched(hours('09:30-09:31'), null, sunday)).toBe(true);
    expect(isWatched(hours('09:30-09:31'), 'Europe/Vienna', sunday)).toBe(false);
    expect(isWatched(hours('Mon-Fri 07:00-19:00'), null, sunday)).toBe(false);
    expect(isWatched(hours('Fri-Mon 07:00-19:00'), null, sunday)).toBe(true);
  });

  test.each(['', '7-19', '19:00-07:00', '07:00-25:00', 'Mo-Fr 07:00-19:00', '07:61-19:00'])(
    '"%s" is refused',
    (text) => {
      expect(() => hours(text)).toThrow('must be hours');
    },
  );

  test('names with numbers are taken with = in the name of nobody, and bounded', () => {
    const { kind } = SETTINGS.HL7_ALERT_SILENT;
    expect([...kind.parse('ADT:HOSPITAL=60, ris=240')]).toEqual([
      ['ADT:HOSPITAL', 60],
      ['ris', 240],
    ]);
    for (const bad of ['ADT', 'ADT=', '=5', 'ADT=0', 'ADT=x'])
      expect(() => kind.parse(bad)).toThrow('must be a comma list');
  });
});
