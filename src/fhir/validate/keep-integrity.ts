import { Failure, type FailureIssue } from '../../kernel/errors.ts';
import { FULL_ACCESS } from '../access-context.ts';
import type { ResourceChange, ResourceId, ResourceStore } from '../resource-store.ts';
import { isReferred, readMissing } from './reference.store.ts';

/** A refusal names no more places than this. */
const PLACES_MAX = 20;

/**
 * Referential integrity (FHIR R4 http.html#integrity leaves it to the server; the setting FHIR_REFERENTIAL_INTEGRITY turns it on): a write whose reference
 * to this server points to nothing is refused with `fhir.validation` (422), a deletion of what others refer to with `fhir.referenced` (409).
 * Both look at the state after the whole transaction, and cost one round trip each, only when there is something to look at. What
 * the server writes for itself is not checked. What the caller may not read counts as missing: else a write would tell whether it is there. A target that is deleted at the same moment by somebody else may slip through: no lock is taken
 * on targets, as a busy Patient would stop every write about it.
 */
export function keepIntegrity(store: ResourceStore): void {
  store.onChange(async (tx, changes, access) => {
    if (access === FULL_ACCESS) return;
    const written = new Set(changes.flatMap((one) => (one.resource ? `${one.type}/${one.id}` : [])));
    const references = changes.flatMap((change) => referencesOf(change, store.base));
    const targets = new Map(
      references.filter(({ key }) => !written.has(key)).map(({ key, target }) => [key, target]),
    );
    if (targets.size > 0) {
      const missing = new Set(
        (await readMissing(tx, [...targets.values()], access)).map(({ type, id }) => `${type}/${id}`),
      );
      if (missing.size > 0)
        throw dangling(references.filter(({ key }) => missing.has(key)).map(({ at }) => at));
    }
    const deleted = changes.filter((change) => change.interaction === 'delete');
    if (deleted.length > 0 && (await isReferred(tx, deleted))) throw referenced();
  });
}

/** For `$validate?mode=delete`: would the deletion be refused? */
export const mayBeDeleted = async (
  sql: Parameters<typeof isReferred>[0],
  target: ResourceId,
): Promise<boolean> => !(await isReferred(sql, [target]));

function dangling(places: readonly string[]): Failure {
  const issues = places.slice(0, PLACES_MAX).map(
    (at): FailureIssue => ({
      text: 'The reference points to a resource that is not on this server, or not to be read with this token; send that one first, or in the same transaction.',
      at,
      type: 'not-found',
    }),
  );
  return new Failure('fhir.validation', 'A reference points to a resource that is not on this server.', {
    issues,
  });
}

const referenced = (): Failure =>
  new Failure('fhir.referenced', 'Other resources refer to this one; delete or change them first.');

interface Found {
  readonly key: string;
  readonly target: ResourceId;
  readonly at: string;
}

function referencesOf({ resource, type }: ResourceChange, base: string): Found[] {
  const found: Found[] = [];
  if (resource) collect(resource, type, base, found);
  return found;
}

/** Literal references to this server, relative or by its own base URL. */
function collect(value: unknown, at: string, base: string, found: Found[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) collect(item, `${at}[${i}]`, base, found);
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'reference' && typeof inner === 'string') {
      const relative = inner.startsWith(`${base}/`) ? inner.slice(base.length + 1) : inner;
      const match = LOCAL.exec(relative);
      if (match?.[1] && match[2])
        found.push({
          key: `${match[1]}/${match[2]}`,
          target: { type: match[1], id: match[2] },
          at: `${at}.reference`,
        });
    } else if (typeof inner === 'object') collect(inner, `${at}.${key}`, base, found);
  }
}

const LOCAL = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;
