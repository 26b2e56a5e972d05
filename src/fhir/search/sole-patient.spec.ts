import { describe, expect, it } from 'vitest';
import { solePatientOf } from './sole-patient.ts';

const OWN = 'Observation.subject>Patient/a';

describe('the one Patient of a resource', () => {
  it('is said where one alone is named, by however many parameters', () => {
    expect(solePatientOf(['Observation.code#1', OWN])).toBe('a');
    expect(solePatientOf([OWN, 'Observation.performer>Patient/a'])).toBe('a');
    expect(solePatientOf(['Observation.code#1', 'Observation.subject>Device/a'])).toBe('');
    expect(solePatientOf([])).toBe('');
  });

  it('is not said where several are named, or something that looks like another', () => {
    expect(solePatientOf([OWN, 'Observation.performer>Patient/b'])).toBeNull();
    expect(solePatientOf([OWN, 'Observation.identifier#x>Patient/b'])).toBeNull();
    expect(solePatientOf(['Observation.identifier#x>Patient/a\nb', OWN])).toBeNull();
    expect(solePatientOf([OWN, 'Observation.identifier#>Patient/'])).toBeNull();
  });

  it('is no other than the one who is really named, whatever else the entries say', () => {
    // The first `>Patient/` of a reference entry is its own: no name of a parameter has one.
    expect(solePatientOf(['Observation.subject>Patient/a>Patient/b'])).toBe('a>Patient/b');
  });
});
