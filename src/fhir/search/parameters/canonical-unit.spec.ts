import { describe, expect, it } from 'vitest';
import { canonicalUnit, UNIT_CHARACTERS_MAX, UNITS_KEPT_MAX } from './canonical-unit.ts';
import { scaled } from './decimal.ts';

describe('units in base units', () => {
  it.each([
    ['mg', { code: 'g1', factor: '0.001', offset: '0' }],
    ['10*3/uL', { code: 'm-3', factor: '1000000000000', offset: '0' }],
    ['ug/dL', { code: 'g1.m-3', factor: '0.01', offset: '0' }],
    ['%', { code: '1', factor: '0.01', offset: '0' }],
    ['Cel', { code: 'K1', factor: '1', offset: '273.15' }],
  ])('%s', (code, expected) => {
    expect(canonicalUnit(code)).toEqual(expected);
  });

  it.each([
    '',
    '{score}',
    '{a}{b}',
    '[iU]/L',
    '[pH]',
    'dB',
    'nonsense',
    '((((',
    'mg/',
    '__proto__',
    'constructor',
  ])('%s is not converted', (code) => {
    expect(canonicalUnit(code)).toBeNull();
  });

  it('codes that nobody uses neither take time nor fill the memory', () => {
    expect(canonicalUnit('m'.repeat(UNIT_CHARACTERS_MAX + 1))).toBeNull();
    expect(canonicalUnit(`m${'.m'.repeat(UNIT_CHARACTERS_MAX / 2 - 1)}`)).toBeDefined();
    for (let at = 0; at <= UNITS_KEPT_MAX; at++) canonicalUnit(`{a${at}}`);
    expect(canonicalUnit('mg')?.factor).toBe('0.001');
  });

  it('the arithmetic is exact', () => {
    expect(Number(scaled('5.35', '0.001', '0'))).toBe(0.00535);
    expect(scaled('5.35', '0.001', '0')).toBe('535e-5');
    expect(Number(scaled('37', '1', '273.15'))).toBe(310.15);
    expect(Number(scaled('-0.5e-3', '1000', '0'))).toBe(-0.5);
    expect(scaled('-Infinity', '1000', '1')).toBe('-Infinity');
  });
});
