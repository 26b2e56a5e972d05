import { beforeAll, describe, expect, it } from 'vitest';
import { definitions, loadDefinitions } from './definitions/definitions.ts';
import { patientReferenceHeads } from './patient-references.ts';

describe('References to a patient', () => {
  beforeAll(() => loadDefinitions());

  it('are known for every type of the patient compartment and for those beside it, and for no type that tells of the past', () => {
    const types = new Set(patientReferenceHeads().map((head) => head.split('.')[0]));
    const compartment = [...(definitions().compartments.get('Patient') ?? new Map()).keys()];
    const past = ['Patient', 'Provenance', 'AuditEvent', 'Linkage'];
    expect(compartment.filter((type) => !types.has(type) && !past.includes(type))).toEqual([]);
    for (const type of ['Device', 'Task', 'GuidanceResponse', 'Contract', 'FamilyMemberHistory', 'Goal'])
      expect(types, type).toContain(type);
    for (const type of [...past, 'ImplementationGuide', 'Organization'])
      expect(types, type).not.toContain(type);
  });

  it('have each place once, also where the type may name the patient in several', () => {
    const heads = patientReferenceHeads();
    expect(new Set(heads).size).toBe(heads.length);
    for (const head of ['Observation.subject', 'Observation.focus', 'Coverage.policy-holder', 'Task.owner'])
      expect(heads, head).toContain(head);
  });
});
