import { Failure } from '../../../kernel/errors.ts';
import type { SqlParameters } from '../../sql-parameters.ts';
import { cutToken } from '../index-rows.ts';
import { jsonPaths } from '../parameters/json-paths.ts';
import type { SearchedRow, ValueFilter } from '../search-kind.ts';
import type { SearchParameter } from '../search-parameters.ts';
import { splitValue, unescaped } from '../split-value.ts';
import { folded } from './string.ts';

/**
 * The two modifiers of tokens that are answered from the resource's JSON instead of the index. An entry for every display text would make each
 * write dearer (three to five keys per Observation) for a question that is asked with another filter beside it, and seldom.
 */

/**
 * R4 search.html#modifiers `:text`: the text of the concept, of its codings, or of the identifier's type begins with the value, whatever the
 * case and the accents. It reads every resource that the other filters leave over.
 */
export function textCondition(filter: ValueFilter, on: SearchedRow, parameters: SqlParameters): string {
  const starts = filter.values.map((value) => parameters.add(folded(unescaped(value)), 'text'));
  const any = pathsOf(filter.parameter, 'text').flatMap((path) =>
    TEXTS.map((text) => parameters.add(`${path}${text}`, 'jsonpath')),
  );
  const found = any.map(
    (path) =>
      `SELECT 1 FROM jsonb_path_query(${content(on)}, ${path}) text WHERE ${starts
        .map((start) => `starts_with(fhir_folded(text #>> '{}'), ${start})`)
        .join(' OR ')}`,
  );
  return `EXISTS (${found.join(' UNION ALL ')})`;
}

/** Of a CodeableConcept, of its codings, of a Coding, of an Identifier. What the type at hand does not have is just not there. */
export const TEXTS = ['."text"', '."coding"."display"', '."display"', '."type"."text"'];

/**
 * R4 search.html#modifiers `:of-type`: `system|code|value`, an identifier of that type with that value. The value finds the candidates
 * through the index; the type is looked up in their JSON.
 */
export function ofTypeCondition(filter: ValueFilter, on: SearchedRow, parameters: SqlParameters): string {
  const name = `${filter.parameter.type}.${filter.parameter.code}`;
  const paths = pathsOf(filter.parameter, 'of-type');
  const any = filter.values.map((text) => {
    const [system, code, value, ...more] = splitValue(text, '|').map(unescaped);
    if (!system || !code || !value || more.length > 0) {
      throw new Failure('fhir.invalid', ':of-type wants system|code|value, all three given.');
    }
    const entry = parameters.add([cutToken(`${name}#${value}`)], 'text[]');
    const vars = parameters.add(JSON.stringify({ system, code, value }), 'jsonb');
    const exists = paths.map((path) => {
      const constant = parameters.add(`${path}${OF_TYPE}`, 'jsonpath');
      return `jsonb_path_exists(${content(on)}, ${constant}, ${vars})`;
    });
    return `(${on.alias}.tokens && ${entry} AND (${exists.join(' OR ')}))`;
  });
  return `(${any.join(' OR ')})`;
}

const OF_TYPE =
  ' ? (@."value" == $value && exists(@."type"."coding"[*] ? (@."system" == $system && @."code" == $code)))';

/** A deleted resource has no JSON; CASE, since the order in which conditions are looked at is not ours to say. */
const content = (on: SearchedRow): string =>
  `CASE WHEN ${on.alias}.deleted THEN NULL ELSE ${on.alias}.content::jsonb END`;

/** The SQL/JSON paths of the parameter; throws `fhir.unsupported` where it is more than paths. */
export function pathsOf(parameter: SearchParameter, modifier: string): readonly string[] {
  const paths = jsonPaths(parameter.type, parameter.code, parameter.expression);
  if (!paths)
    throw new Failure('fhir.unsupported', `${parameter.code} cannot be searched with :${modifier}.`);
  return paths;
}
