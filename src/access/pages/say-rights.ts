import { readScopeList } from '../oauth/scope-words.ts';
import type { Scope } from '../scope.ts';

const LETTERS: Readonly<Record<string, string>> = {
  c: 'create',
  r: 'read',
  u: 'change',
  d: 'delete',
  s: 'search',
};
const WORDS: Readonly<Record<string, string>> = {
  openid: 'know who you are',
  fhirUser: 'know your record as a user',
  'launch/patient': 'know which patient you chose',
  launch: 'know which patient is open in the EHR',
  online_access: 'go on until your session ends, without asking again',
  offline_access: 'go on for up to 30 days, also when you are not there',
};

/**
 * What a list of scopes lets an app do, in sentences. Scopes add up: where one without a query stands beside one with a query, the wide one is
 * what counts, and it is said.
 */
export function sayRights(scope: string): string[] {
  const { words, resources } = readScopeList(scope);
  const widths = resources.filter(({ query }) => query === undefined);
  const said = resources.filter(
    (one) => one.query === undefined || !widths.some((wide) => covers(wide, one)),
  );
  return [...said.map(sayScope), ...words.flatMap((word) => WORDS[word] ?? [])];
}

function sayScope({ context, type, permissions, query }: Scope): string {
  const verbs = [...permissions].map((letter) => LETTERS[letter]).join(', ');
  const what = type === '*' ? 'all kinds of records' : `records of the kind ${type}`;
  const whose = context === 'patient' ? 'of this patient' : 'that you may see yourself';
  return `${verbs} ${what} ${whose}${query === undefined ? '' : `, only where ${query}`}`;
}

const covers = (wide: Scope, one: Scope): boolean =>
  wide.context === one.context &&
  (wide.type === '*' || wide.type === one.type) &&
  [...one.permissions].every((letter) => wide.permissions.has(letter));
