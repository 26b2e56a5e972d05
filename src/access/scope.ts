import { Failure } from '../kernel/errors.ts';

export type Permission = 'c' | 'r' | 'u' | 'd' | 's';

/** One SMART v2 scope: `system/Observation.rs`, `patient/Observation.rs?category=laboratory`. */
export interface Scope {
  readonly context: 'system' | 'user' | 'patient';
  /** A resource type, or `*`. */
  readonly type: string;
  readonly permissions: ReadonlySet<Permission>;
  /** What narrows it, as written: `category=http://…|imaging`. Absent: all of the type. */
  readonly query?: string;
}

/** More would be no list of rights but an attempt to make us work. */
export const SCOPE_CHARS_MAX = 8_192;
/** As many as there are types in the patient compartment, and room. */
export const SCOPES_MAX = 100;
/** Each is a condition in every statement of the token. */
export const SCOPE_QUERY_PARAMETERS_MAX = 5;

/**
 * Parses a space-separated list of SMART App Launch 2.2 scopes, those of version 1 (`.read`, `.write`, `.*`) too. The whole token must match:
 * a prefix that happens to be a scope grants nothing. Letters must stand in the order `cruds`, each once. Whether type and query mean
 * something here is for `checkScopeQueries` to say.
 *
 * @throws Failure `auth.scope` naming the rule that was broken
 */
export function parseScopes(text: string): Scope[] {
  if (text.length > SCOPE_CHARS_MAX) refuse(`A scope list may have ${SCOPE_CHARS_MAX} characters.`);
  const words = text.split(' ').filter((part) => part !== '');
  if (words.length > SCOPES_MAX) refuse(`A scope list may have ${SCOPES_MAX} scopes.`);
  return words.map(parseScope);
}

const ORDER = 'cruds';
const V1: Readonly<Record<string, string>> = { '*': 'cruds', read: 'rs', write: 'cud' };

function parseScope(text: string): Scope {
  // RFC 6749 3.3: what a scope token may be spelled with.
  if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text)) refuse('A scope has a character that RFC 6749 3.3 forbids.');
  const mark = text.indexOf('?');
  const [, context, type, letters] =
    /^([^/]*)\/([^.]*)(?:\.(.*))?$/s.exec(mark === -1 ? text : text.slice(0, mark)) ?? [];
  if (context !== 'system' && context !== 'user' && context !== 'patient')
    refuse('A scope must begin with "system/", "user/" or "patient/", as in "system/Observation.rs".');
  if (!/^(\*|[A-Z][A-Za-z]{1,63})$/.test(type ?? ''))
    refuse('A scope must name one resource type, or *, after the slash, as in "system/Observation.rs".');
  const isV1 = V1[letters ?? ''] !== undefined;
  if (isV1 && mark !== -1) refuse('A scope of SMART version 1 takes no query; use letters, as in ".rs?…".');
  const scope = {
    context: context as Scope['context'],
    type: type as string,
    permissions: permissionsOf(letters ?? ''),
  };
  return mark === -1 ? scope : { ...scope, query: checkedQuery(text.slice(mark + 1)) };
}

function permissionsOf(text: string): Set<Permission> {
  const letters = [...(V1[text] ?? text)];
  if (letters.length === 0)
    refuse('A scope must end with letters out of c r u d s: it may not grant nothing.');
  if (letters.some((letter) => !ORDER.includes(letter)))
    refuse('A scope must end with letters out of c r u d s, or read, write or *.');
  if (new Set(letters).size !== letters.length) refuse('A letter of a scope may stand once.');
  if (letters.some((letter, at) => ORDER.indexOf(letter) < ORDER.indexOf(letters[at - 1] ?? 'c')))
    refuse('The letters of a scope must stand in the order c r u d s.');
  return new Set(letters as Permission[]);
}

/** SMART 2.2 "finer-grained resource constraints": `name=value`, joined by `&`. Modifiers, chains and what shapes an answer are refused. */
function checkedQuery(query: string): string {
  const parts = query.split('&');
  if (parts.length > SCOPE_QUERY_PARAMETERS_MAX)
    refuse(`The query of a scope may have ${SCOPE_QUERY_PARAMETERS_MAX} parameters.`);
  for (const part of parts) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(part) ?? [];
    if (value === '') refuse('The query of a scope must read like "category=laboratory".');
    if (/[:.]/.test(name)) refuse('The query of a scope takes no modifier and no chain.');
    if (!/^(_security|_tag|_profile|_source|[a-z][A-Za-z0-9-]{0,63})$/.test(name))
      refuse('The query of a scope takes plain search parameters only.');
    if (/%(?![0-9A-Fa-f]{2})/.test(value)) refuse('The query of a scope has a % that begins no escape.');
  }
  return query;
}

function refuse(rule: string): never {
  throw new Failure('auth.scope', rule);
}

/**
 * May these scopes do this with every resource of the type that their context reaches? A scope with a query holds a part only, so it does not
 * count here. An empty list may do nothing.
 */
export function permits(scopes: readonly Scope[], type: string, permission: Permission): boolean {
  return scopes.some(
    (scope) =>
      scope.query === undefined &&
      (scope.type === '*' || scope.type === type) &&
      scope.permissions.has(permission),
  );
}

/**
 * What of `wanted` is within `allowed`: never more than both say. Types, letters and queries are cut to what the two have in common. `*` is not AuditEvent, on either side: who may
 * have all other types may not therefore look into the audit.
 */
export function narrow(wanted: readonly Scope[], allowed: readonly Scope[]): Scope[] {
  const common = wanted.flatMap((one) => allowed.flatMap((other) => both(one, other) ?? []));
  return joined(common);
}

function both(a: Scope, b: Scope): Scope | null {
  if (a.context !== b.context) return null;
  if (a.type !== b.type && ((a.type !== '*' && b.type !== '*') || [a.type, b.type].includes('AuditEvent')))
    return null;
  const permissions = new Set([...a.permissions].filter((one) => b.permissions.has(one)));
  if (permissions.size === 0) return null;
  const { context } = a;
  const type = a.type === '*' ? b.type : a.type;
  const query = [...new Set([a.query, b.query].flatMap((one) => (one === undefined ? [] : one.split('&'))))];
  // More than a scope can say: nothing of it is granted.
  if (query.length > SCOPE_QUERY_PARAMETERS_MAX) return null;
  return query.length === 0
    ? { context, type, permissions }
    : { context, type, permissions, query: query.join('&') };
}

/** Scopes that differ in their letters only are one. */
function joined(scopes: readonly Scope[]): Scope[] {
  const groups = Map.groupBy(scopes, ({ context, type, query }) => `${context}/${type}?${query ?? ''}`);
  return [...groups.values()].map((group) => {
    const letters = [...ORDER].filter((letter) =>
      group.some(({ permissions }) => permissions.has(letter as Permission)),
    );
    return { ...(group[0] as Scope), permissions: new Set(letters as Permission[]) };
  });
}

/** In the spelling of SMART version 2. */
export const scopeText = (scopes: readonly Scope[]): string =>
  scopes
    .map(({ context, type, permissions, query }) => {
      const letters = [...ORDER].filter((letter) => permissions.has(letter as Permission)).join('');
      return `${context}/${type}.${letters}${query === undefined ? '' : `?${query}`}`;
    })
    .join(' ');
