import type { AccessContext, AccessInteraction, Granted } from '../fhir/access-context.ts';
import {
  type AccessExtent,
  type AccessRule,
  ALL,
  admits,
  dearPart,
  extentOf,
  ruleToSql,
} from '../fhir/access-rule.ts';
import type { SqlParameters } from '../fhir/sql-parameters.ts';
import { type Roles, readRoles } from './predicate/read-roles.ts';
import { rightsFor, ruleOf, writeRuleOf } from './predicate/rules-of-grant.ts';

export { type Roles, readRoles } from './predicate/read-roles.ts';

/**
 * Who may see what: one AccessContext per grant, whose condition goes on every table of every statement. A rule is worked out when a type is first asked
 * for. Where a grant sees all of a type there is no condition at all, and its statements are those of a server without rules.
 */
export function accessRules(roles: Roles = readRoles()): (grant: Granted) => AccessContext {
  return (grant) => {
    const rules = new Map<string, { readonly rule: AccessRule; readonly extent: AccessExtent }>();
    const of = (type: string, interaction: AccessInteraction) => {
      const key = `${type} ${interaction}`;
      let found = rules.get(key);
      if (!found) {
        const rule = ruleOf(grant, roles, type, interaction);
        found = { rule, extent: extentOf(rule) };
        rules.set(key, found);
      }
      return found;
    };
    const context: AccessContext = {
      grant,
      allows: (type, interaction) => of(type, interaction).rule.kind !== 'none',
      condition: (type, interaction, alias, parameters) =>
        conditionOf(of(type, interaction).rule, alias, parameters),
      admits: (type, interaction, id, entries) =>
        admits(writeRuleOf(grant, roles, type, interaction), id, entries),
      shows: (type, id, entries) => admits(of(type, 'read').rule, id, entries),
      extent: (type, interaction) => of(type, interaction).extent,
      relabels: grant.scopes.some((scope) => {
        const rights = rightsFor(grant, scope, roles);
        return rights === 'all' || rights.some(({ relabels }) => relabels);
      }),
    };
    return { ...context, late: lateOf(context, (type, interaction) => of(type, interaction).rule) };
  };
}

const conditionOf = (rule: AccessRule, alias: string, parameters: SqlParameters): string | null =>
  rule.kind === 'all' ? null : ruleToSql(rule, alias, parameters);

function lateOf(
  context: AccessContext,
  ruleFor: (type: string, interaction: AccessInteraction) => AccessRule,
): NonNullable<AccessContext['late']> {
  return {
    before: {
      ...context,
      condition: (type, interaction, alias, parameters) => {
        const rule = ruleFor(type, interaction);
        return conditionOf(dearPart(rule)?.rest ?? rule, alias, parameters);
      },
    },
    condition: (type, interaction, alias, parameters) =>
      conditionOf(dearPart(ruleFor(type, interaction))?.dear ?? ALL, alias, parameters),
  };
}
