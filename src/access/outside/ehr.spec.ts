import { describe, expect, it } from 'vitest';
import { readEhrs } from './ehr.ts';

const EHR = { iss: 'https://ehr.example/fhir/', clientId: 'prelim', patientSystem: 'urn:mrn' };
const read = (more: object) => readEhrs(JSON.stringify([{ ...EHR, ...more }]));

describe('the EHRs of AUTH_EHRS', () => {
  it('know us by a secret, by a key of ours, or by our name alone', () => {
    expect(read({})[0]).toMatchObject({
      iss: 'https://ehr.example/fhir',
      clientSecret: null,
      clientAlgorithm: null,
    });
    expect(read({ clientSecret: 's' })[0]).toMatchObject({ clientSecret: 's', clientAlgorithm: null });
    for (const clientAlgorithm of ['RS384', 'ES384'])
      expect(read({ clientAlgorithm })[0]).toMatchObject({ clientSecret: null, clientAlgorithm });
  });

  it.each([
    ['a secret and a key', { clientSecret: 's', clientAlgorithm: 'ES384' }],
    ['a kind of key that SMART does not name', { clientAlgorithm: 'RS256' }],
    ['no kind of key', { clientAlgorithm: null }],
    ['an empty secret', { clientSecret: '' }],
    ['a role that nobody has', { everybody: ['king'] }],
    ['no patient system', { patientSystem: '' }],
  ])('with %s stop the start', (_what, more) => {
    expect(() => read(more)).toThrow('AUTH_EHRS must be');
  });
});
