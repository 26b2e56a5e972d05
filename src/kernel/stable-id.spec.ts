import { describe, expect, it } from 'vitest';
import { stableId } from './stable-id.ts';

describe('stable id', () => {
  it('is a valid FHIR id in UUID form and the same for the same parts', () => {
    expect(stableId('study', '1.2.3')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(stableId('study', '1.2.3')).toBe(stableId('study', '1.2.3'));
  });

  it('keeps parts apart, so that moving a letter between them changes the id', () => {
    expect(stableId('a', 'bc')).not.toBe(stableId('ab', 'c'));
    expect(stableId('a', '')).not.toBe(stableId('a'));
  });
});
