import { type AccessContext, accessOfGrant } from '../fhir/access-context.ts';
import { Failure } from '../kernel/errors.ts';
import type { Grant } from './grant.ts';
import type { Door, Roles } from './predicate/read-roles.ts';
import { type Permission, permits } from './scope.ts';

/** What beside FHIR can be entered, and what it takes. */
interface DoorRule {
  readonly path: string;
  /** Left out: any. */
  readonly methods?: readonly string[];
  /** A role must have it. */
  readonly door: Door;
  /** The right on the resources behind it. */
  readonly type: string;
  readonly permission: Permission;
  /** false: what is behind it cannot be cut to one patient, so a scope of a patient does not open it. */
  readonly limited: boolean;
}

/**
 * The doors beside FHIR, which judges each interaction itself, and beside `/auth`, which asks for the client or person there. The first that fits is taken. Behind a door that
 * is `limited` each statement has the caller's condition as well.
 */
const DOORS: readonly DoorRule[] = [
  {
    path: '/dicomweb',
    methods: ['POST'],
    door: 'dicomweb-store',
    type: 'ImagingStudy',
    permission: 'c',
    limited: false,
  },
  { path: '/dicomweb', door: 'dicomweb', type: 'ImagingStudy', permission: 'r', limited: true },
  { path: '/worklist/api', door: 'worklist', type: 'DiagnosticReport', permission: 'r', limited: true },
  { path: '/metrics', door: 'metrics', type: 'Device', permission: 'r', limited: false },
  { path: '/jobs', methods: ['GET', 'HEAD'], door: 'jobs', type: 'Task', permission: 'r', limited: false },
  { path: '/jobs', door: 'jobs', type: 'Task', permission: 'u', limited: false },
  { path: '/hl7', methods: ['GET', 'HEAD'], door: 'hl7', type: 'Task', permission: 'r', limited: false },
  { path: '/hl7', door: 'hl7', type: 'Task', permission: 'u', limited: false },
];

/**
 * Lets a request in at the door of its route (`/jobs/:id`), or throws `auth.scope`. A route that has none is let through: FHIR and the pages
 * look for themselves.
 */
export function enterDoor(method: string, path: string, grant: Grant, roles: Roles): void {
  const rule = DOORS.find(
    (one) =>
      (path === one.path || path.startsWith(`${one.path}/`)) && one.methods?.includes(method) !== false,
  );
  if (!rule) return;
  const { type, permission } = rule;
  if (!hasDoor(grant, rule.door, roles) || !hasRight(grant, accessOfGrant(grant), rule))
    throw new Failure(
      'auth.scope',
      `This needs a token with the scope system/${type}.${permission}, and a role that may enter here where it has roles.`,
    );
}

function hasDoor({ roles: names, scopes }: Grant, door: Door, roles: Roles): boolean {
  if (names.length > 0) return names.some((name) => roles.get(name)?.doors.has(door));
  return scopes.some(
    ({ context }) =>
      context === 'system' || (context === 'patient' && roles.get('patient')?.doors.has(door) === true),
  );
}

function hasRight(
  { scopes }: Grant,
  access: AccessContext,
  { type, permission, limited }: DoorRule,
): boolean {
  if (!access.allows(type, INTERACTIONS[permission])) return false;
  const whole = scopes.filter(({ context }) => context !== 'patient');
  return limited || permits(whole, type, permission);
}

const INTERACTIONS = { c: 'create', r: 'read', u: 'update', d: 'delete', s: 'search' } as const;
