import { expect, it } from 'vitest';
import { scaled } from './decimal.ts';

it.each([
  ['0', '0'],
  ['-0', '0'],
  ['7', '7'],
  ['-12', '-12'],
  ['007', '7'],
  ['0.5', '5e-1'],
  ['0.50', '50e-2'],
  ['-0.5', '-5e-1'],
  ['0.0', '0e-1'],
  ['1.25', '125e-2'],
  ['1234567.12345678', '123456712345678e-8'],
  ['12345678901234567890.5', '123456789012345678905e-1'],
  ['12345678', '12345678'],
  ['1e3', '1e3'],
  ['2.5E-7', '25e-8'],
  ['Infinity', 'Infinity'],
  ['-Infinity', '-Infinity'],
])('%s without a change of unit is %s', (value, expected) => {
  expect(scaled(value, '1', '0')).toBe(expected);
});

it.each([
  ['5.35', '0.001', '0', '535e-5'],
  ['37', '1', '273.15', '31015e-2'],
  ['-0.5', '1000', '0', '-5000e-1'],
])('%s times %s plus %s is %s', (value, factor, offset, expected) => {
  expect(scaled(value, factor, offset)).toBe(expected);
});

it('refuses what is no number', () => {
  expect(() => scaled('abc', '1', '0')).toThrow(SyntaxError);
});
