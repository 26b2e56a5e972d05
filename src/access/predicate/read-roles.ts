import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { folderWith } from '../../config/folder-with.ts';
import { Failure } from '../../kernel/errors.ts';
import { ROLES, type Role } from '../grant.ts';
import type { Permission } from '../scope.ts';

/** HL7 v3 Confidentiality, from what everybody may see on. */
export const CONFIDENTIALITY = ['N', 'R', 'V'] as const;
export type Confidentiality = (typeof CONFIDENTIALITY)[number];

/** What beside FHIR can be entered. */
export const DOORS = ['dicomweb', 'dicomweb-store', 'worklist', 'metrics', 'jobs', 'hl7'] as const;
export type Door = (typeof DOORS)[number];

/** What a role may do; `access-roles/roles.yaml` says what each word means. */
export interface RoleRights {
  readonly resources: ReadonlyMap<string, ReadonlySet<Permission>>;
  readonly confidentiality: Confidentiality;
  readonly treating: boolean;
  readonly breakGlass: boolean;
  readonly relabels: boolean;
  readonly doors: ReadonlySet<Door>;
}

/** Every role, and `patient` for tokens of a patient's own app. */
export type Roles = ReadonlyMap<Role | 'patient', RoleRights>;

const SHIPPED = 'access-roles/roles.yaml';

/**
 * The rights of all roles, from the site's file or, with '', the shipped one.
 *
 * @throws Failure `config.invalid` naming the role and what is wrong with it
 */
export function readRoles(file = ''): Roles {
  const path = file === '' ? join(folderWith(SHIPPED) ?? '.', SHIPPED) : file;
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new Failure('config.invalid', `ACCESS_ROLES_FILE: ${path} cannot be read, or is no YAML.`, {
      cause,
    });
  }
  const names = [...ROLES, 'patient'] as const;
  const given = asMap(content, 'the file');
  const foreign = Object.keys(given).find((name) => !names.includes(name as Role));
  if (foreign !== undefined) throw wrong(foreign, 'is no role here');
  return new Map(names.map((name) => [name, rightsOf(name, given[name])]));
}

const KEYS = ['resources', 'confidentiality', 'treating', 'breakGlass', 'relabels', 'doors'];

function rightsOf(name: string, given: unknown): RoleRights {
  const rights = asMap(given, name);
  const keys = Object.keys(rights);
  if (keys.length !== KEYS.length || keys.some((key) => !KEYS.includes(key)))
    throw wrong(name, `must have ${KEYS.join(', ')}, and nothing else`);
  const resources = Object.entries(asMap(rights['resources'], name)).map(([type, letters]) => {
    if (!/^(\*|[A-Z][A-Za-z]{1,63})$/.test(type) || !/^c?r?u?d?s?$/.test(String(letters)))
      throw wrong(name, `: ${type} must be a type or *, with letters out of c r u d s`);
    return [type, new Set([...String(letters)] as Permission[])] as const;
  });
  const { confidentiality, doors } = rights;
  if (!CONFIDENTIALITY.includes(confidentiality as Confidentiality))
    throw wrong(name, 'confidentiality must be N, R or V');
  if (!Array.isArray(doors) || doors.some((door) => !DOORS.includes(door)))
    throw wrong(name, `doors may hold ${DOORS.join(', ')}`);
  return {
    resources: new Map(resources),
    confidentiality: confidentiality as Confidentiality,
    treating: flag(name, rights, 'treating'),
    breakGlass: flag(name, rights, 'breakGlass'),
    relabels: flag(name, rights, 'relabels'),
    doors: new Set(doors as Door[]),
  };
}

function flag(name: string, rights: Readonly<Record<string, unknown>>, key: string): boolean {
  const value = rights[key];
  if (typeof value !== 'boolean') throw wrong(name, `${key} must be true or false`);
  return value;
}

function asMap(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw wrong(name, 'must be there, as a map');
  return value as Readonly<Record<string, unknown>>;
}

const wrong = (name: string, what: string): Failure =>
  new Failure('config.invalid', `ACCESS_ROLES_FILE: ${name} ${what}.`);

/** Does the role allow this with the type? Named types come before `*`; what holds the audit must be named. */
export function roleAllows(rights: RoleRights, type: string, letter: Permission): boolean {
  const named = rights.resources.get(type) ?? (type === 'AuditEvent' ? undefined : rights.resources.get('*'));
  return named?.has(letter) === true;
}
