import type { Consent } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AccessInteraction, Granted } from '../fhir/access-context.ts';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { SqlParameters } from '../fhir/sql-parameters.ts';
import { accessRules, readRoles } from './access-of-grant.ts';
import { checkScopeQueries } from './check-scope-queries.ts';
import { consentToOptOut } from './predicate/consent-to-opt-out.ts';
import { parseScopes } from './scope.ts';

beforeAll(() => loadDefinitions().then(() => undefined));

const of = (scope: string, more: Partial<Granted> = {}) =>
  accessRules(readRoles())({ scopes: parseScopes(scope), ...more });
const sqlOf = (access: ReturnType<typeof of>, type: string, interaction: AccessInteraction = 'read') => {
  const parameters = new SqlParameters();
  return { text: access.condition(type, interaction, 'r', parameters), values: parameters.values };
};

describe('who may see what', () => {
  it('a system token with all rights has no condition at all, on any interaction', () => {
    const access = of('system/*.cruds');
    for (const interaction of ['create', 'read', 'update', 'delete', 'search'] as const)
      expect(sqlOf(access, 'Observation', interaction)).toEqual({ text: null, values: [] });
    expect(access.extent?.('Observation', 'search').size).toBe('all');
  });

  it('a patient’s token is one patient’s entries, by the parameters of the R4 CompartmentDefinition', () => {
    const access = of('patient/*.rs', { patient: 'p1' });
    expect(sqlOf(access, 'Observation').values[0]).toEqual([
      'Observation.subject>Patient/p1',
      'Observation.performer>Patient/p1',
    ]);
    expect(access.extent?.('Observation', 'search').size).toBe('few');
    expect(sqlOf(access, 'Patient').text).toContain('r.id = ANY');
  });

  it('without a patient in context, or without a role, scopes of a patient and of a user give nothing', () => {
    expect(of('patient/*.cruds').allows('Observation', 'read')).toBe(false);
    expect(of('user/*.cruds').allows('Observation', 'read')).toBe(false);
    expect(of('user/*.cruds', { roles: ['no-such-role'] }).allows('Observation', 'read')).toBe(false);
    expect(of('').allows('Patient', 'read')).toBe(false);
  });

  it('types that are in no patient’s compartment and not nobody’s own are not there for a patient’s token', () => {
    const access = of('patient/*.cruds', { patient: 'p1', roles: ['integrator'] });
    for (const type of ['Subscription', 'Basic2', 'Endpoint'])
      expect(access.allows(type, 'read'), type).toBe(false);
    expect(access.allows('Organization', 'read')).toBe(true);
    expect(access.allows('Organization', 'update')).toBe(false);
  });

  it('a Task that is for the patient and a Binary behind something of the patient are read, and written by nobody', () => {
    const access = of('patient/*.cruds', { patient: 'p1', roles: ['integrator'] });
    expect(sqlOf(access, 'Task').values[0]).toEqual(['Task.subject>Patient/p1']);
    expect(sqlOf(access, 'Binary').values.flat()).toContain('Observation.subject>Patient/p1');
    for (const type of ['Task', 'Binary'])
      for (const interaction of ['create', 'update', 'delete'] as const)
        expect(access.allows(type, interaction), `${interaction} ${type}`).toBe(false);
    // In memory nobody knows whose the owner is.
    const entries = new Set(['Binary.securityContext>ImagingStudy/1']);
    expect(access.shows?.('Binary', 'b', entries)).toBe(false);
    const clinician = of('user/*.rs', { roles: ['clinician'] });
    expect(clinician.shows?.('Binary', 'b', entries)).toBe(false);
    expect(clinician.shows?.('Binary', 'b', new Set())).toBe(true);
    expect(of('system/*.rs').condition('Binary', 'read', 'r', new SqlParameters())).toBeNull();
  });

  it('scopes are a union, each with its own limits', () => {
    const access = of('patient/Observation.r?category=imaging patient/Observation.r', { patient: 'p1' });
    const { text, values } = sqlOf(access, 'Observation');
    expect(text).toContain(' OR ');
    expect(values.flat()).toContain('Observation.category#imaging');
    expect(access.allows('Observation', 'search')).toBe(false);
  });

  it('a role cuts every context, and the audit must be named', () => {
    expect(of('system/*.cruds', { roles: ['model-owner'] }).allows('Observation', 'read')).toBe(false);
    expect(of('user/*.cruds', { roles: ['model-owner'] }).allows('Device', 'update')).toBe(true);
    expect(of('system/*.cruds').allows('AuditEvent', 'search')).toBe(false);
    expect(of('user/*.rs', { roles: ['auditor'] }).allows('AuditEvent', 'search')).toBe(false);
    expect(of('user/AuditEvent.rs', { roles: ['auditor'] }).allows('AuditEvent', 'search')).toBe(true);
    expect(of('user/AuditEvent.rs', { roles: ['clinician'] }).allows('AuditEvent', 'search')).toBe(false);
    expect(of('system/AuditEvent.cruds').allows('AuditEvent', 'create')).toBe(false);
  });

  it('labels above the role and the consent of those who do not treat are conditions; under BTG they fall', () => {
    const clinician = sqlOf(of('user/*.rs', { roles: ['clinician'] }), 'Observation');
    expect(clinician.values).toEqual([['Observation._security#V']]);
    const operator = sqlOf(of('user/*.rs', { roles: ['operator'] }), 'Task');
    expect(operator.values[0]).toEqual(['Task._security#R', 'Task._security#V']);
    const broken = of('patient/*.rs', { roles: ['clinician'], patient: 'p1', purposeOfUse: 'BTG' });
    expect(sqlOf(broken, 'Observation').values).toHaveLength(1);
    const auditor = of('user/*.rs', { roles: ['auditor'], purposeOfUse: 'BTG' });
    expect(sqlOf(auditor, 'Practitioner').text).not.toBeNull();
  });
});

describe('queries of scopes', () => {
  it.each([
    'system/Observation.rs?category=imaging',
    'system/Observation.rs?category=http://example.org|imaging,laboratory',
    'system/Observation.rs?subject=Patient/1&status=final',
    'system/*.rs?_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N',
    'patient/DiagnosticReport.rs?category=RAD',
  ])('%s can be held', (scope) => {
    expect(() => checkScopeQueries(parseScopes(scope))).not.toThrow();
  });

  it.each([
    ['system/Observation.rs?date=2026-01-01', 'token, reference and URI'],
    ['system/Observation.rs?value-quantity=5', 'token, reference and URI'],
    ['system/Patient.rs?name=Smith', 'token, reference and URI'],
    ['system/Observation.rs?category=http://example.org|', 'whole values'],
    ['system/Observation.rs?nonsense=1', 'no search parameter'],
    ['system/*.rs?category=imaging', 'all types'],
    ['system/Nonsense.rs', 'does not have'],
  ])('%s is refused by name, and grants nothing where it comes in even so', (scope, rule) => {
    expect(() => checkScopeQueries(parseScopes(scope))).toThrow(rule);
    if (scope.includes('?') && !scope.includes('*'))
      expect(of(scope).allows(/\/([A-Za-z]+)/.exec(scope)?.[1] ?? '', 'read')).toBe(false);
  });
});

describe('consent', () => {
  const consent = {
    resourceType: 'Consent',
    id: 'c',
    status: 'active',
    scope: { coding: [{ code: 'patient-privacy' }] },
    category: [{ text: 'privacy' }],
    patient: { reference: 'Patient/p1' },
    provision: { type: 'deny' },
  };
  const optOut = (more: object) => consentToOptOut({ ...consent, ...more } as Consent, 'http://here/fhir');

  it('an active Consent about privacy that denies opts out; every other one does not', () => {
    expect(optOut({})).toEqual({ consent: 'c', patient: 'p1', startsAt: null, endsAt: null });
    expect(optOut({ status: 'inactive' })).toBeNull();
    expect(optOut({ provision: { type: 'permit' } })).toBeNull();
    expect(optOut({ scope: { coding: [{ code: 'research' }] } })).toBeNull();
    expect(optOut({ patient: { reference: 'http://here/fhir/Patient/p2' } })?.patient).toBe('p2');
  });

  it('its period counts, partial dates to their ends', () => {
    const period = { start: '2026-03', end: '2026-03-05' };
    expect(optOut({ provision: { type: 'deny', period } })).toMatchObject({
      startsAt: '2026-03-01T00:00:00.000Z',
      endsAt: '2026-03-06T00:00:00.000Z',
    });
  });

  it('one that names no Patient here is refused: it could not be honoured', () => {
    expect(() => optOut({ patient: { reference: 'http://elsewhere/fhir/Patient/p1' } })).toThrow(
      'must name a Patient',
    );
  });
});
