import { describe, expect, it } from 'vitest';
import { scanJson } from './scan-json.ts';

describe('a number that JavaScript prints otherwise', () => {
  it.each(['1.10', '0.0', '-0', '1e3', '1E-2', '100000000000000000000000', '0.00000001', '-0.50', '9.0'])(
    'is seen: %s',
    (number) => {
      expect(scanJson(`{"a":[${number}]}`)).toEqual({ respelledNumbers: true });
    },
  );

  it.each(['0', '7', '-12', '0.5', '-0.5', '-3.25', '0.00001', '999999999', '12345678901', '0.000001'])(
    'is not seen in %s, which is printed as it is',
    (number) => {
      expect(String(Number(number))).toBe(number);
      expect(scanJson(`{"a":[${number}]}`)).toEqual({ respelledNumbers: false });
    },
  );
});

it.each([
  ['twice', '{"a":1,"a":2}'],
  ['twice, once with an escape', '{"a":1,"\\u0061":2}'],
  ['a way to prototypes', '{"__proto__":1}'],
  ['a way to prototypes, with an escape', '{"\\u005f_proto__":1}'],
])('refuses a key that is there %s', (_, text) => {
  expect(() => scanJson(text)).toThrow(expect.objectContaining({ code: 'fhir.invalid' }));
});

it('takes the same key in two objects, and a text that looks like a key', () => {
  expect(scanJson('{"a":{"b":"a"},"c":[{"b":"a\\",\\"b"}]}')).toEqual({ respelledNumbers: false });
});
