import type { AccessInteraction, Granted, GrantedScope } from '../../fhir/access-context.ts';
import {
  anyLabelEntries,
  anyPatientHeads,
  BINARY_OWNER_HEAD,
  labelEntry,
  patientHeads,
  referenceHeads,
  scopeQueryEntries,
} from '../../fhir/access-entries.ts';
import { type AccessRule, ALL, allOf, anyOf, NONE } from '../../fhir/access-rule.ts';
import type { Role } from '../grant.ts';
import type { Permission } from '../scope.ts';
import {
  CONFIDENTIALITY,
  type Confidentiality,
  type RoleRights,
  type Roles,
  roleAllows,
} from './read-roles.ts';

/**
 * What a grant may do with a type, as one rule: the union of its scopes, each cut by its context (`patient/`: the compartment), its query, the roles of
 * the token, labels and consent. The one place where a grant becomes a condition.
 */
export function ruleOf(
  grant: Granted,
  roles: Roles,
  type: string,
  interaction: AccessInteraction,
): AccessRule {
  const letter = interaction[0] as Permission;
  // The audit is the server's alone to write, and whoever reads it must have been given just that.
  if (type === 'AuditEvent' && letter !== 'r' && letter !== 's') return NONE;
  const rules = grant.scopes
    .filter((scope) => covers(scope, type, letter))
    .map((scope) => {
      const rights = rightsFor(grant, scope, roles);
      if (rights !== 'all' && !rights.some((one) => roleAllows(one, type, letter))) return NONE;
      const context = scope.context === 'patient' ? inCompartment(grant, type, interaction) : ALL;
      return allOf([
        context,
        ofQuery(scope, type),
        shown(grant, rights, interaction, labelsOf(type)),
        ownerShown(grant, scope, rights, type, interaction),
      ]);
    });
  return anyOf(rules);
}

/**
 * What of a new version a grant may write, by its scopes alone: labels and consent say who may see a resource, not who may write that it is
 * confidential.
 */
export function writeRuleOf(
  grant: Granted,
  roles: Roles,
  type: string,
  interaction: 'create' | 'update',
): AccessRule {
  const unlabelled = { ...grant, purposeOfUse: ANY_PURPOSE };
  return ruleOf(unlabelled, roles, type, interaction);
}

/** A purpose that no token can have: nothing is hidden under it. */
const ANY_PURPOSE = '*';

/** HL7 v3 ActReason: break the glass. */
export const BREAK_GLASS = 'BTG';

function covers(scope: GrantedScope, type: string, letter: Permission): boolean {
  const named = scope.type === type || (scope.type === '*' && type !== 'AuditEvent');
  return named && new Set(scope.permissions).has(letter);
}

/** `all`: a registered client without roles, whose scopes are its policy. An empty list is nothing. */
export function rightsFor(grant: Granted, scope: GrantedScope, roles: Roles): 'all' | readonly RoleRights[] {
  const named = (grant.roles ?? []).flatMap((role) => roles.get(role as Role) ?? []);
  if (named.length > 0) return named;
  if (scope.context === 'system') return 'all';
  return scope.context === 'patient' ? [roles.get('patient') as RoleRights] : [];
}

/**
 * R4 CompartmentDefinition/patient. Of the types that are in no patient's compartment those that are nobody's own may be read, a Task that is for the patient (as R5 has
 * it), and a Binary that belongs to something in the compartment (`ownerShown`); everything else, and what the rules do not know, may not.
 */
function inCompartment({ patient }: Granted, type: string, interaction: AccessInteraction): AccessRule {
  if (!patient) return NONE;
  const reads = interaction === 'read' || interaction === 'search';
  const entries = (heads: readonly string[]): AccessRule[] =>
    heads.length === 0
      ? []
      : [{ kind: 'entries', any: heads.map((head) => `${head}>Patient/${patient}`), few: true }];
  if (type === 'Patient') return anyOf([{ kind: 'id', type, id: patient }, ...entries(patientHeads(type))]);
  const heads = patientHeads(type);
  if (heads.length > 0) return anyOf(entries(heads));
  if (!reads) return NONE;
  if (type === 'Task') return anyOf(entries(referenceHeads(type, 'patient')));
  if (type === 'Device') {
    const own = referenceHeads(type, 'patient');
    return anyOf([{ kind: 'not', rule: { kind: 'refers', heads: own } }, ...entries(own)]);
  }
  return NOBODYS_OWN.has(type) || type === 'Binary' ? ALL : NONE;
}

/** Who and what a record refers to, and what its codes mean. */
const NOBODYS_OWN: ReadonlySet<string> = new Set([
  'CodeSystem',
  'ConceptMap',
  'HealthcareService',
  'Location',
  'Medication',
  'Organization',
  'Practitioner',
  'PractitionerRole',
  'Questionnaire',
  'StructureDefinition',
  'Substance',
  'ValueSet',
]);

/** A query that cannot be held grants nothing; the token endpoint has refused it before. */
function ofQuery({ query }: GrantedScope, type: string): AccessRule {
  if (query === undefined) return ALL;
  try {
    return allOf(scopeQueryEntries(type, query).map((any) => ({ kind: 'entries', any })));
  } catch {
    return NONE;
  }
}

/**
 * R4 binary.html: a Binary is shown to those who are shown what its `securityContext` refers to. With `patient/` scopes that must be in the compartment, and a Binary without
 * one is nobody's; for others one without is as it stands.
 */
function ownerShown(
  grant: Granted,
  scope: GrantedScope,
  rights: 'all' | readonly RoleRights[],
  type: string,
  interaction: AccessInteraction,
): AccessRule {
  if (type !== 'Binary') return ALL;
  const may = shown(grant, rights, interaction, OF_ANY_TYPE);
  if (scope.context !== 'patient')
    return may.kind === 'all' ? ALL : { kind: 'behind', head: BINARY_OWNER_HEAD, owner: may, orNobody: true };
  const inside = anyOf([
    { kind: 'id', type: 'Patient', id: String(grant.patient) },
    { kind: 'entries', any: anyPatientHeads().map((head) => `${head}>Patient/${grant.patient}`) },
  ]);
  return { kind: 'behind', head: BINARY_OWNER_HEAD, owner: allOf([inside, may]), orNobody: false };
}

/** How the labels and the patient of a row are found. */
interface Marks {
  labels(code: string): readonly string[];
  patients(): readonly string[];
  readonly isPatient: boolean;
}

const labelsOf = (type: string): Marks => ({
  labels: (code) => [labelEntry(type, code)],
  patients: () => patientHeads(type),
  isPatient: type === 'Patient',
});

/** Ids of Patients are looked for under ids of every type: what has the same id as one who opted out is not shown either. */
const OF_ANY_TYPE: Marks = { labels: anyLabelEntries, patients: anyPatientHeads, isPatient: true };

/** Labels and consent. A create shows nobody anything. */
function shown(
  grant: Granted,
  rights: 'all' | readonly RoleRights[],
  interaction: AccessInteraction,
  marks: Marks,
): AccessRule {
  if (interaction === 'create' || rights === 'all' || grant.purposeOfUse === ANY_PURPOSE) return ALL;
  if (grant.purposeOfUse === BREAK_GLASS && rights.some(({ breakGlass }) => breakGlass)) return ALL;
  const hidden = CONFIDENTIALITY.slice(clearance(rights) + 1).flatMap((code) => marks.labels(code));
  const labels: AccessRule =
    hidden.length === 0 ? ALL : { kind: 'not', rule: { kind: 'entries', any: hidden } };
  const heads = marks.patients();
  const asked = heads.length > 0 && !rights.some(({ treating }) => treating);
  const consent: AccessRule = asked ? { kind: 'consented', heads, self: marks.isPatient } : ALL;
  return allOf([labels, consent]);
}

const clearance = (rights: readonly RoleRights[]): number =>
  Math.max(
    ...rights.map(({ confidentiality }) => CONFIDENTIALITY.indexOf(confidentiality as Confidentiality)),
  );
