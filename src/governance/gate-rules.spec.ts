import type { CodeSystem } from '@medplum/fhirtypes';
import { expect, it } from 'vitest';
import { terminologyResources } from '../terminology/shipped-terminology.ts';
import { GATE_RULES, RULES_THAT_ALWAYS_REFUSE } from './gate-rules.ts';

it('every rule of the gate has a code in the refusal code system, in the same order, and there is no other code', () => {
  const refusal = terminologyResources().find(({ id }) => id === 'refusal') as CodeSystem;
  expect(refusal.concept?.map(({ code }) => code)).toEqual([...GATE_RULES]);
  expect(new Set(GATE_RULES).size).toBe(GATE_RULES.length);
  expect(GATE_RULES).toEqual(expect.arrayContaining([...RULES_THAT_ALWAYS_REFUSE]));
});
