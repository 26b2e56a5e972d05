import type { Sql } from '../../database/database.ts';
import { type AccessContext, accessCondition } from '../access-context.ts';
import { definitions } from '../definitions/definitions.ts';
import type { ResourceId } from '../resource-store.ts';
import { cutToken } from '../search/index-rows.ts';
import { SqlParameters } from '../sql-parameters.ts';

/** Which of these are not there, deleted, or not for the caller to read? One round trip by primary key, whatever their number. */
export function readMissing(
  sql: Sql,
  targets: readonly ResourceId[],
  access: AccessContext,
): Promise<ResourceId[]> {
  const parameters = new SqlParameters();
  const types = parameters.add(
    targets.map((target) => target.type),
    'text[]',
  );
  const ids = parameters.add(
    targets.map((target) => target.id),
    'text[]',
  );
  const isSeen = seen(new Set(targets.map((target) => target.type)), access, parameters);
  return sql.run<ResourceId>(
    {
      ...(isSeen === '' ? { name: 'fhir-missing-targets' } : {}),
      text: `
  SELECT w.type, w.id FROM unnest(${types}, ${ids}) AS w(type, id)
  WHERE NOT EXISTS (SELECT FROM resource r WHERE r.type = w.type AND r.id = w.id AND NOT r.deleted${isSeen})`,
    },
    parameters.values,
  );
}

/** What a row must meet beyond being there. Empty: nothing, for a caller who may read all of these types. */
function seen(types: ReadonlySet<string>, access: AccessContext, parameters: SqlParameters): string {
  const limited = [...types].flatMap((type) => {
    const condition = accessCondition(access, type, 'read', 'r', parameters);
    return condition === null ? [] : [`(r.type <> ${parameters.name(type)} OR (${condition}))`];
  });
  return limited.map((one) => ` AND ${one}`).join('');
}

/** Does anything that stays refer to one of these? By the search rows of all reference parameters, in one round trip. */
export async function isReferred(sql: Sql, targets: readonly ResourceId[]): Promise<boolean> {
  const rows = await sql.run<{ type: string }>(
    {
      name: 'fhir-referring',
      text: `
  SELECT r.type FROM resource r
  WHERE r.tokens && $1::text[] AND NOT r.deleted
    AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS w(type, id) WHERE w.type = r.type AND w.id = r.id)
  LIMIT 1`,
    },
    [
      targets.flatMap(({ type, id }) => parametersTo(type).map((name) => cutToken(`${name}>${type}/${id}`))),
      targets.map((target) => target.type),
      targets.map((target) => target.id),
    ],
  );
  return rows.length > 0;
}

/** `Observation.subject`, … : every reference parameter that may point to the type. */
function parametersTo(target: string): readonly string[] {
  let names = parametersByTarget.get(target);
  if (!names) {
    names = definitions()
      .searchParameters.filter((one) => one.type === 'reference' && (one.target?.includes(target) ?? true))
      .flatMap((one) => one.base.map((base) => `${base}.${one.code}`));
    parametersByTarget.set(target, names);
  }
  return names;
}

const parametersByTarget = new Map<string, readonly string[]>();
