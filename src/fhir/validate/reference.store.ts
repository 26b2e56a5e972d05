import type { Sql } from '../../database/database.ts';
import { definitions } from '../definitions/definitions.ts';
import type { ResourceId } from '../resource-store.ts';
import { cutToken } from '../search/index-rows.ts';

/** Which of these are not there, or deleted? One round trip by primary key, whatever their number. */
export function readMissing(sql: Sql, targets: readonly ResourceId[]): Promise<ResourceId[]> {
  return sql.run<ResourceId>(
    {
      name: 'fhir-missing-targets',
      text: `
  SELECT w.type, w.id FROM unnest($1::text[], $2::text[]) AS w(type, id)
  WHERE NOT EXISTS (SELECT FROM resource r WHERE r.type = w.type AND r.id = w.id AND NOT r.deleted)`,
    },
    [targets.map((target) => target.type), targets.map((target) => target.id)],
  );
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
