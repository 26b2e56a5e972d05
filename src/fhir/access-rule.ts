import type { SqlParameters } from './sql-parameters.ts';

/**
 * Which resources of one type may be seen, as a condition on the id and the index entries (`resource.tokens`) that every stored resource has.
 * One description, two renderings: `ruleToSql` for every statement that finds rows, `admits` for a version that is about to be written.
 */
export type AccessRule =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  /** Has any of the entries. `few`: nobody has many resources with them (one patient's), so an index on them finds all. */
  | { readonly kind: 'entries'; readonly any: readonly string[]; readonly few?: true }
  /** Is this resource. */
  | { readonly kind: 'id'; readonly type: string; readonly id: string }
  /** Has an entry that begins so: refers to any Patient. */
  | { readonly kind: 'refers'; readonly heads: readonly string[] }
  /** Of no patient who has opted out; `heads`: the reference parameters that say whose it is; `self`: it is a Patient. */
  | { readonly kind: 'consented'; readonly heads: readonly string[]; readonly self: boolean }
  /**
   * What it belongs to, named by the entry that begins with `head`, is stored and admitted by `owner`, a rule for rows of any type. `orNobody`: or it belongs to nothing.
   */
  | { readonly kind: 'behind'; readonly head: string; readonly owner: AccessRule; readonly orNobody: boolean }
  | { readonly kind: 'and'; readonly of: readonly AccessRule[] }
  | { readonly kind: 'or'; readonly of: readonly AccessRule[] }
  | { readonly kind: 'not'; readonly rule: AccessRule };

export const ALL: AccessRule = { kind: 'all' };
export const NONE: AccessRule = { kind: 'none' };

export function allOf(rules: readonly AccessRule[]): AccessRule {
  const of = distinct(rules.filter(({ kind }) => kind !== 'all'));
  if (of.some(({ kind }) => kind === 'none')) return NONE;
  return of.length === 0 ? ALL : of.length === 1 && of[0] ? of[0] : { kind: 'and', of };
}

/** An empty list is nothing, never everything. */
export function anyOf(rules: readonly AccessRule[]): AccessRule {
  const of = distinct(rules.filter(({ kind }) => kind !== 'none'));
  if (of.some(({ kind }) => kind === 'all')) return ALL;
  return of.length === 0 ? NONE : of.length === 1 && of[0] ? of[0] : { kind: 'or', of };
}

const distinct = (rules: readonly AccessRule[]): AccessRule[] => [
  ...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values(),
];

/** SQL that is true for the rows the rule admits; the row (or whatever stands for one) has `type`, `id`, `version`, `tokens`, `sole_patient` and `sole_patient_at` under the alias. */
export function ruleToSql(rule: AccessRule, alias: string, parameters: SqlParameters): string {
  const list = (values: readonly string[]) => parameters.add(values, 'text[]');
  switch (rule.kind) {
    case 'all':
      return 'TRUE';
    case 'none':
      return 'FALSE';
    case 'entries':
      return `${alias}.tokens && ${list(rule.any)}`;
    case 'id':
      return `(${alias}.type = ${parameters.name(rule.type)} AND ${alias}.id = ANY(${list([rule.id])}))`;
    case 'refers':
      return `EXISTS (SELECT 1 FROM unnest(${alias}.tokens) entry WHERE strpos(entry, '>Patient/') > 0 AND split_part(entry, '>Patient/', 1) = ANY(${list(rule.heads)}))`;
    case 'consented':
      return consented(rule, alias, parameters);
    case 'behind':
      return behind(rule, alias, parameters);
    case 'not':
      return `NOT (${ruleToSql(rule.rule, alias, parameters)})`;
    case 'and':
      return rule.of.map((one) => `(${ruleToSql(one, alias, parameters)})`).join(' AND ');
    case 'or':
      return rule.of.map((one) => `(${ruleToSql(one, alias, parameters)})`).join(' OR ');
  }
}

/**
 * Where nobody has opted out, which is asked once per statement, no row is looked into. Otherwise: most rows refer to one Patient, who stands in the row (`search/sole-patient.ts`). Where that one has not
 * opted out the row is nobody's who has, whichever parameter refers to it. All else (several Patients, one who opted out) is asked exactly. In a row that does not say it yet the entries
 * are looked at as one text: to take a list apart costs several times as much. `OFFSET 0` keeps the planner from making a join of the look-up, which would go through all who have opted out for every row.
 */
function consented(
  { heads, self }: Extract<AccessRule, { kind: 'consented' }>,
  alias: string,
  parameters: SqlParameters,
): string {
  const optedOut = (patient: string) =>
    `EXISTS (SELECT 1 FROM access_opt_out o WHERE o.patient = ${patient} AND o.starts_at <= now() AND o.ends_at > now() OFFSET 0)`;
  // No id has a line break in it, so what the text names are ids, or something that nobody is called.
  const part = (n: number) => `split_part(array_to_string(${alias}.tokens, E'\n'), '>Patient/', ${n})`;
  const said = `CASE WHEN ${alias}.sole_patient_at = ${alias}.version THEN ${alias}.sole_patient END`;
  const isOfOne = `coalesce(${said}, CASE WHEN ${part(3)} = '' THEN '' END) IS NOT NULL`;
  const one = `coalesce(${said}, split_part(${part(2)}, E'\n', 1))`;
  const ofOneWhoAgrees = `${isOfOne} AND NOT ${optedOut(one)}`;
  const own = self ? `WHEN ${optedOut(`${alias}.id`)} THEN FALSE ` : '';
  return `CASE WHEN NOT EXISTS (SELECT 1 FROM access_opt_out) THEN TRUE ${own}WHEN ${ofOneWhoAgrees} THEN TRUE ELSE NOT access_opted_out(${alias}.tokens, ${parameters.add(heads, 'text[]')}) END`;
}

function behind(
  { head, owner, orNobody }: Extract<AccessRule, { kind: 'behind' }>,
  alias: string,
  parameters: SqlParameters,
): string {
  const begins = `starts_with(entry, ${parameters.add(head, 'text')})`;
  const part = (n: number) => `split_part(split_part(entry, '>', 2), '/', ${n})`;
  const seen = `EXISTS (SELECT 1 FROM unnest(${alias}.tokens) entry JOIN resource owner ON owner.type = ${part(1)} AND owner.id = ${part(2)} WHERE ${begins} AND NOT owner.deleted AND (${ruleToSql(owner, 'owner', parameters)}))`;
  return orNobody
    ? `(NOT EXISTS (SELECT 1 FROM unnest(${alias}.tokens) entry WHERE ${begins}) OR ${seen})`
    : seen;
}

/**
 * The same for a version at hand. What needs a table is not asked: not `consented`, since a write shows nobody anything; and what belongs to something else is not
 * admitted, for nobody knows whose that is.
 */
export function admits(rule: AccessRule, id: string, entries: ReadonlySet<string>): boolean {
  switch (rule.kind) {
    case 'all':
    case 'consented':
      return true;
    case 'none':
      return false;
    case 'entries':
      return rule.any.some((entry) => entries.has(entry));
    case 'id':
      return rule.id === id;
    case 'refers':
      return [...entries].some((entry) => rule.heads.some((head) => entry.startsWith(`${head}>Patient/`)));
    case 'behind':
      return rule.orNobody && ![...entries].some((entry) => entry.startsWith(rule.head));
    case 'not':
      return !admits(rule.rule, id, entries);
    case 'and':
      return rule.of.every((one) => admits(one, id, entries));
    case 'or':
      return rule.of.some((one) => admits(one, id, entries));
  }
}

/**
 * A rule in two: what finds or narrows rows, and what is better asked of the few that are shown: what has to be looked up for each, and with it what takes out a few. null: nothing has to be
 * looked up.
 */
export function dearPart(rule: AccessRule): { readonly rest: AccessRule; readonly dear: AccessRule } | null {
  const parts = rule.kind === 'and' ? rule.of : [rule];
  if (!parts.some(({ kind }) => kind === 'consented')) return null;
  return { rest: allOf(parts.filter((one) => !isExclusion(one))), dear: allOf(parts.filter(isExclusion)) };
}

/**
 * How much of a type a rule leaves, for the choice of a plan. `most`: it takes out a few rows. `few`: an index finds what it leaves. `part`: in between;
 * `sets`: of each a row must have an entry.
 */
export interface AccessExtent {
  readonly size: 'all' | 'most' | 'part' | 'few';
  readonly sets: readonly (readonly string[])[];
}

export function extentOf(rule: AccessRule): AccessExtent {
  const parts = rule.kind === 'and' ? rule.of : [rule];
  const sets = parts.flatMap((one) => (one.kind === 'entries' ? [one.any] : []));
  if (parts.some(isFew)) return { size: 'few', sets };
  if (parts.every(isExclusion)) return { size: rule.kind === 'all' ? 'all' : 'most', sets };
  // All that narrows it stands in the sets: their statistics say how much.
  const known = parts.every((one) => one.kind === 'entries' || isExclusion(one));
  return { size: 'part', sets: known ? sets : [] };
}

function isFew(rule: AccessRule): boolean {
  if (rule.kind === 'id') return true;
  if (rule.kind === 'entries') return rule.few === true;
  if (rule.kind === 'or') return rule.of.every((one) => extentOf(one).size === 'few');
  return false;
}

const isExclusion = ({ kind }: AccessRule): boolean =>
  kind === 'all' || kind === 'not' || kind === 'consented';
