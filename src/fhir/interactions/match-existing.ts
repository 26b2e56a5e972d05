import type { Identifier, Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition, demandAccess } from '../access-context.ts';
import { badParameter } from '../at-parameter.ts';
import type { ResourceStore, TypedIdentifier } from '../resource-store.ts';
import { searchParametersOf } from '../search/search-parameters.ts';
import { splitValue } from '../search/split-value.ts';
import { SqlParameters } from '../sql-parameters.ts';
import type { StoredResource } from '../stored-resource.ts';
import { lockWords } from './lock-words.ts';

/**
 * R4 http.html#ccreate, #cond-update, #3.1.0.7.1: the one resource that the criteria of a conditional request find; null for none. Throws
 * `fhir.multiple-matches`. Until the transaction ends others with the same criteria wait, so that fifty parallel conditional creates make one resource.
 */
export async function matchOne(
  store: ResourceStore,
  tx: Transaction,
  type: string,
  criteria: string,
  access: AccessContext,
): Promise<StoredResource | null> {
  const matches = await matchSome(store, tx, { type, criteria, access, most: 1 });
  return matches[0] ?? null;
}

export interface Matching {
  readonly type: string;
  /** As in a URL, with or without what stands before the question mark. */
  readonly criteria: string;
  readonly access: AccessContext;
  /** More matches than this are refused. */
  readonly most: number;
}

/** All that match, `most` of them at most; throws `fhir.multiple-matches` above, `fhir.invalid` for criteria that say nothing. */
export async function matchSome(
  store: ResourceStore,
  tx: Transaction,
  { type, criteria, access, most }: Matching,
): Promise<readonly StoredResource[]> {
  const query = criteriaFor(type, criteria);
  await lockWords(tx, `${type}?${query}`);
  const identifier = plainIdentifier(type, query, access);
  if (!identifier) demandValue(query);
  query.set('_count', String(most + 1));
  const matches = identifier
    ? await store.findByIdentifiers([identifier], tx)
    : (await store.search(type, query, tx, access)).matches;
  return atMost(matches, most);
}

/** `identifier=system|` comes from a template whose number is empty: it would find some other patient, where there is only one. Throws `fhir.invalid`. */
function demandValue(query: URLSearchParams): void {
  const values = query.getAll('identifier').flatMap((value) => splitValue(value, ','));
  if (values.some((value) => value.endsWith('|') && !value.endsWith('\\|')))
    throw badParameter('identifier', 'An identifier in a condition needs its value: system|value.');
}

/** Criteria that many can ask for in one statement. */
export interface IdentifierCriteria {
  /** What others with the same criteria wait for. */
  readonly words: string;
  readonly identifier: TypedIdentifier;
}

/** Null: other criteria than one business identifier; ask `matchOne`. */
export function identifierCriteria(
  type: string,
  criteria: string,
  access: AccessContext,
): IdentifierCriteria | null {
  const query = criteriaFor(type, criteria);
  const identifier = plainIdentifier(type, query, access);
  return identifier && { words: `${type}?${query}`, identifier };
}

/** `matchOne` for several, in one round trip: the match of each, null, or why there is none. */
export async function matchTogether(
  store: ResourceStore,
  tx: Transaction,
  asked: readonly IdentifierCriteria[],
): Promise<(StoredResource | Failure | null)[]> {
  if (asked.length === 0) return [];
  await lockWords(tx, ...asked.map(({ words }) => words));
  const found = await store.findByIdentifiers(
    asked.map(({ identifier }) => identifier),
    tx,
  );
  const parsed = found.map((stored) => ({ stored, resource: stored.parse<Identified>() }));
  return asked.map(({ identifier: { type, system, value } }) => {
    const matches = parsed.filter(
      ({ resource }) =>
        resource.resourceType === type &&
        [resource.identifier ?? []].flat().some((one) => one.system === system && one.value === value),
    );
    if (matches.length > 1) return tooMany(1);
    return matches[0]?.stored ?? null;
  });
}

/**
 * The same where nothing is expected: the look goes with the next statement or the commit, which fails with `GUESS_FAILED_SQLSTATE` when any is met. Only in a transaction
 * that is then tried again. False: this transaction has no such way.
 */
export async function guessNoMatch(
  store: ResourceStore,
  tx: Transaction,
  asked: readonly IdentifierCriteria[],
): Promise<boolean> {
  if (!tx.later) return false;
  await lockWords(tx, ...asked.map(({ words }) => words));
  store.guessNoIdentifiers(
    asked.map(({ identifier }) => identifier),
    tx,
  );
  return true;
}

type Identified = Resource & { readonly identifier?: Identifier | Identifier[] };

function atMost(matches: readonly StoredResource[], most: number): readonly StoredResource[] {
  if (matches.length <= most) return matches;
  throw tooMany(most);
}

const tooMany = (most: number): Failure =>
  new Failure(
    'fhir.multiple-matches',
    most === 1
      ? 'The criteria match more than one resource; ask more precisely.'
      : `The criteria match more than ${most} resources; ask more precisely.`,
  );

/**
 * Nearly every conditional create asks for one business identifier (accession number, study UID), and is our hottest write: it gets a prepared
 * statement. Null for anything else, and where the caller may not see all resources of the type.
 */
function plainIdentifier(
  type: string,
  query: URLSearchParams,
  access: AccessContext,
): TypedIdentifier | null {
  const value = query.size === 1 ? query.get('identifier') : null;
  const parts = value === null ? null : PLAIN.exec(value);
  if (!parts?.[1] || !parts[2] || !searchParametersOf(type).has('identifier')) return null;
  demandAccess(access, type, 'search');
  if (accessCondition(access, type, 'search', 'r', new SqlParameters()) !== null) return null;
  return { type, system: parts[1], value: parts[2] };
}

/** `system|value`, without what has a meaning of its own in a search, and short enough for the index to hold it whole. */
const PLAIN = /^([^|,\\$\0]{1,100})\|([^|,\\$\0]{1,64})$/;

/** The same, where what may stand before the question mark must be the type: criteria on another one, or on another server, are a mistake. */
function criteriaFor(type: string, criteria: string): URLSearchParams {
  const named = BEFORE.exec(criteria)?.[1];
  if ((named === undefined || named === '' || named === type) && !/^https?:/i.test(criteria))
    return criteriaOf(criteria);
  throw new Failure(
    'fhir.invalid',
    'The criteria of a conditional request are what stands behind the question mark of a search of its own type: identifier=<system>|<value>.',
  );
}

/** A question mark further on belongs to a value: `identifier=http://a.example/id?x|1`. */
const BEFORE = /^([A-Za-z]*)\?/;

/** The parameters that find, sorted, so that the same criteria are the same words. */
export function criteriaOf(criteria: string): URLSearchParams {
  const given = new URLSearchParams(criteria.replace(BEFORE, ''));
  const query = new URLSearchParams(
    [...given].filter(([name, value]) => !SHAPING.test(name) && value !== ''),
  );
  if (query.size === 0) {
    throw new Failure(
      'fhir.invalid',
      'The criteria of a conditional request must name at least one search parameter.',
    );
  }
  query.sort();
  return query;
}

/** Who writes it means "delete one of them": leaving it out would delete all. Throws `fhir.invalid`. */
export function refuseCount(criteria: string): void {
  const names = new URLSearchParams(criteria.replace(BEFORE, ''));
  if (names.has('_count'))
    throw badParameter('_count', 'A deletion by criteria takes all that match, or none; leave _count out.');
}

/** How an answer would look is no part of a condition. */
const SHAPING = /^_(?:count|sort|total|summary|elements|cursor|format|pretty|(?:rev)?include(?::iterate)?)$/;
