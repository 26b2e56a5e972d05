import type { Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import type { AccessContext } from '../access-context.ts';
import { definitions } from '../definitions/definitions.ts';
import type { ResourceStore } from '../resource-store.ts';
import { criteriaOf } from './match-existing.ts';
import { linksOf, replaceReferences } from './replace-references.ts';

/** R4 http.html#trules: references of the form `Patient?identifier=…`, which stand for the one resource that the search finds. */
export const conditionalReferencesOf = (resource: Resource): Set<string> =>
  linksOf(resource, (link) => CONDITIONAL.test(link));

const CONDITIONAL = /^([A-Z][A-Za-z]{1,63})\?./;

/**
 * For validation before the search is made: the same resource with a plain reference of the same type in the place of each conditional one.
 */
export function withPlainReferences<T extends Resource>(resource: T): T {
  const links = [...conditionalReferencesOf(resource)];
  return replaceReferences(resource, new Map(links.map((link) => [link, `${typeOfLink(link)}/conditional`])));
}

/** Finds what each stands for, as the open transaction sees it, and adds it to `found`. Throws unless there is exactly one. */
export async function resolveConditional(
  links: Iterable<string>,
  found: Map<string, string>,
  { store, tx, access }: { store: ResourceStore; tx: Transaction; access: AccessContext },
): Promise<void> {
  for (const link of links) {
    if (found.has(link)) continue;
    const type = typeOfLink(link);
    const query = criteriaOf(link);
    query.set('_count', '2');
    const { matches } = await store.search(type, query, tx, access);
    const [match] = matches;
    if (matches.length > 1)
      throw new Failure('fhir.multiple-matches', 'A conditional reference matches more than one resource.');
    if (!match) throw new Failure('fhir.invalid', 'A conditional reference matches no resource.');
    found.set(link, `${match.type}/${match.id}`);
  }
}

function typeOfLink(link: string): string {
  const type = CONDITIONAL.exec(link)?.[1] ?? '';
  if (definitions().resourceTypes.includes(type)) return type;
  throw new Failure('fhir.invalid', 'A conditional reference names no resource type of FHIR R4.');
}
