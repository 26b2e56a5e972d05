import { describe, expect, it } from 'vitest';
import { plainUrl } from './plain-url.ts';

describe('the one spelling of a request target', () => {
  it.each([
    ['/fhir/Patient/1', '/fhir/Patient/1'],
    ['/%66hir/%50atient/%7a1', '/fhir/Patient/z1'],
    ['/fhir/Patient/1/%24everything?_type=%41', '/fhir/Patient/1/$everything?_type=%41'],
    ['/fhir/Patient?name=a%7Cb', '/fhir/Patient?name=a%7Cb'],
    ['http://other.example/fhir/Patient/1?x=1', '/fhir/Patient/1?x=1'],
    ['HTTPS://other.example', '/'],
    ['http://other.example?x', '/?x'],
    ['/fhir#_type=Patient', '/fhir'],
    ['/fhir?x=1#y?z', '/fhir?x=1'],
    // What means something else encoded stays so: a slash, a dot, a percent sign, half a code.
    ['/worklist/%2e%2e/keys', '/worklist/%2e%2e/keys'],
    ['/fhir/Patient%2f1', '/fhir/Patient%2f1'],
    ['/%2566hir', '/%2566hir'],
    ['/fhir/%6', '/fhir/%6'],
    ['/fhir/%zz', '/fhir/%zz'],
    ['*', '*'],
  ])('of %s is %s', (url, plain) => {
    expect(plainUrl(url)).toBe(plain);
  });
});
