import type { Group, Reference, Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { compartmentFilter } from '../search/parse-compartment.ts';
import { COMMA_VALUES_MAX, parseFilter } from '../search/parse-filter.ts';
import { searchParametersOf } from '../search/search-parameters.ts';
import type { Filter } from '../search/search-query.ts';
import type { ExportRequest } from './bulk-job.ts';
import { splitTypeFilter } from './read-export-request.ts';

/** Members are held in memory for the time of a step. */
export const GROUP_MEMBERS_MAX = 100_000;

/** A part of an export that is read from its first id to its last. */
export interface ExportUnit {
  readonly type: string;
  /** Null: all of the type. */
  readonly filters: readonly Filter[] | null;
  /** Which of the named patients are looked for; -1: none are named. */
  readonly chunk: number;
}

/**
 * Everything an export reads, in a fixed order: its position is a number in this list and an id. `members`: only of these patients; null: whatever
 * there is.
 */
export function exportUnits(request: ExportRequest, members: readonly string[] | null): ExportUnit[] {
  const chunks = Array.from({ length: Math.ceil((members?.length ?? 0) / COMMA_VALUES_MAX) }, (_, at) =>
    (members ?? []).slice(at * COMMA_VALUES_MAX, (at + 1) * COMMA_VALUES_MAX),
  );
  return request.types.flatMap((type): ExportUnit[] => {
    const narrowed = typeFilter(type, request.typeFilters);
    if (members === null) return [{ type, filters: narrowed && [narrowed], chunk: -1 }];
    return chunks.flatMap((ids, chunk) => {
      const inside = compartmentFilter({ type: 'Patient', ids }, type);
      return inside ? [{ type, filters: narrowed ? [inside, narrowed] : [inside], chunk }] : [];
    });
  });
}

/** Searches of one type are alternatives (Bulk Data Access IG, `_typeFilter`). */
function typeFilter(type: string, all: readonly string[]): Filter | null {
  const of = all
    .map(splitTypeFilter)
    .filter((one) => one.type === type)
    .map(({ search }): Filter => {
      const filters = [...new URLSearchParams(search)].flatMap(([name, value]): Filter[] => {
        const filter = parseFilter(type, name, value);
        if (!filter)
          throw new Failure(
            'fhir.unsupported',
            'A search in _typeFilter may only hold what finds resources.',
          );
        return [filter];
      });
      // Both must hold: not (not a or not b).
      return filters.length === 1 && filters[0] ? filters[0] : both(filters);
    });
  return of.length === 0 ? null : { kind: 'any', of };
}

const both = (filters: readonly Filter[]): Filter => ({
  kind: 'not',
  filter: { kind: 'any', of: filters.map((filter): Filter => ({ kind: 'not', filter })) },
});

/** The patients of a group as it is now, sorted. Members that are no patients, or no members any more, are left out. */
export function membersOf(group: Group): string[] {
  const ids = (group.member ?? [])
    .filter((member) => member.inactive !== true)
    .flatMap((member) => /^Patient\/([A-Za-z0-9\-.]{1,64})$/.exec(member.entity?.reference ?? '')?.[1] ?? []);
  const members = [...new Set(ids)].sort();
  if (members.length > GROUP_MEMBERS_MAX)
    throw new Failure(
      'fhir.too-large',
      `A group may have ${GROUP_MEMBERS_MAX} members for an export; split it.`,
    );
  return members;
}

/** Patients whose compartment the resource is in, by the same parameters as the search. */
export function patientsOf(resource: Resource): string[] {
  const type = resource.resourceType;
  const codes = definitions().compartments.get('Patient')?.get(type) ?? [];
  const referred = codes.flatMap((code) =>
    (searchParametersOf(type).get(code)?.values(resource) ?? []).flatMap(({ value }) => {
      const reference = typeof value === 'string' ? value : (value as Reference | undefined)?.reference;
      return /(?:^|\/)Patient\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/\d+)?$/.exec(reference ?? '')?.[1] ?? [];
    }),
  );
  return type === 'Patient' && resource.id ? [resource.id, ...referred] : referred;
}
