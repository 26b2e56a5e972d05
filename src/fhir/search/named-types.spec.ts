import type { Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { BASE, storedResources } from '../../../test/stored-resources.ts';
import { type Field, typeNode } from '../validate/type-node.ts';
import { indexResource } from './index-resource.ts';
import type { IndexRows } from './index-rows.ts';
import { sources } from './parameter-sources.ts';
import { type SearchParameter, searchParametersOf } from './search-parameters.ts';

const TYPES =
  'Patient Practitioner PractitionerRole Organization Location Encounter ServiceRequest ImagingStudy DiagnosticReport Observation Task Device DeviceDefinition Endpoint Provenance AuditEvent Communication CommunicationRequest PlanDefinition ActivityDefinition Subscription ConceptMap CodeSystem ValueSet StructureDefinition SearchParameter Binary DocumentReference Media Basic'.split(
    ' ',
  );
/** Each has another type in each choice, and another target in each reference. */
const VARIANTS = 14;
/** An element deeper than this is searched by no parameter. */
const DEPTH_MAX = 5;

const stored = storedResources();

const PRIMITIVES: Readonly<Record<string, unknown>> = {
  ...{ boolean: true, integer: 5, positiveInt: 5, unsignedInt: 5, decimal: 5, date: '2024-02-03', id: 'i' },
  ...{
    dateTime: '2024-02-03T04:05:06Z',
    instant: '2024-02-03T04:05:06Z',
    time: '04:05:06',
    base64Binary: 'QUJD',
  },
  ...{ oid: 'urn:oid:1.2.3', uuid: 'urn:uuid:6f2c9f2e-0d1e-4a0f-8f0b-0f3c9f5b7a11' },
  ...{ uri: 'http://x.example/a', url: 'http://x.example/a', canonical: 'http://x.example/a' },
  ...{ string: 'Words', markdown: 'Words', code: 'a-code' },
};
const LEFT_OUT = new Set([
  'extension',
  'modifierExtension',
  'contained',
  'id',
  'meta',
  'implicitRules',
  // `< 5` reaches below every number.
  'comparator',
]);
const ANY = [
  'Patient',
  'Practitioner',
  'Organization',
  'Device',
  'Location',
  'Encounter',
  'Observation',
  'Group',
];

/** A resource that has every element there is, by the definitions alone. Whether it makes sense is not asked. */
function filled(type: string, variant: number, depth = 0): Record<string, unknown> {
  const made: Record<string, unknown> = depth === 0 ? { resourceType: type, id: `v${variant}` } : {};
  const fields = [...(typeNode(type)?.fields ?? [])].filter(([key]) => !LEFT_OUT.has(key));
  for (const [, of] of Map.groupBy(fields, ([, field]) => field.name)) {
    const [key, field] = of[variant % of.length] as [string, Field];
    const value = valueFor(field, variant, depth + 1);
    if (value !== undefined) made[key] = field.list ? [value] : value;
  }
  return made;
}

function valueFor({ type, binding, targets, primitive }: Field, variant: number, depth: number): unknown {
  if (primitive) return type === 'code' && binding ? nth([...binding.codes], variant) : PRIMITIVES[type];
  if (type === 'Reference') {
    const allowed = targets ? [...targets] : ANY;
    return { reference: `${allowed[variant % allowed.length]}/other` };
  }
  if (depth > DEPTH_MAX || type === 'Resource' || type === 'Narrative') return undefined;
  const value = filled(type, variant, depth);
  return Object.keys(value).length > 0 ? value : undefined;
}

const nth = (codes: readonly string[], variant: number) => codes[variant % codes.length] ?? 'a-code';

/** A query that the parameter's own rows say is met, and one that is not. */
function queriesFor(parameter: SearchParameter, rows: IndexRows): [met: string, unmet: string] | null {
  const query = (value: string) => `${parameter.code}=${encodeURIComponent(value)}`;
  for (const { source, targetType } of sources(parameter)) {
    const name = `${source.type}.${source.code}`;
    for (const entry of rows.tokens) {
      if (!entry.startsWith(name) || !'@#>:'.includes(entry.charAt(name.length))) continue;
      const value = entry.slice(name.length + 1);
      if (!targetType || value.startsWith(`${targetType}/`)) return [query(value), query(`${value}-other`)];
    }
    const has = (all: readonly { param: string }[]) => all.some(({ param }) => param === source.code);
    if (has(rows.dates)) return [query('ge1900'), query('lt1900')];
    if (has(rows.numbers) || has(rows.quantities)) return [query('ge0'), query('lt-1000')];
    const text = rows.strings.find(({ param }) => param === source.code);
    if (text) return [query(text.exact), query('zzzz')];
  }
  return null;
}

describe.each(TYPES)('%s', (type) => {
  it('is found by each of its search parameters, and not by another value', async () => {
    const made = Array.from(
      { length: VARIANTS },
      (_, n) => filled(type, n) as unknown as Resource & { id: string },
    );
    await stored.write(...made.map((resource) => ({ kind: 'update' as const, resource })));
    const rows = made.map((resource) => indexResource(resource, BASE));
    const [empty, wrong]: [string[], string[]] = [[], []];
    for (const parameter of searchParametersOf(type).values()) {
      const { code, composite, kind } = parameter;
      // Those of every resource have specs of their own, as have pairs and near.
      if (composite || code.startsWith('_') || kind === 'special') continue;
      const at = rows.findIndex((one) => queriesFor(parameter, one) !== null);
      const queries = rows[at] && queriesFor(parameter, rows[at]);
      if (!queries) {
        empty.push(code);
        continue;
      }
      const found = async (query: string) =>
        (await stored.search(type, `${query}&_id=v${at}`)).matches.length;
      const counts = [await found(queries[0]), await found(queries[1])];
      if (counts.join() !== '1,0') wrong.push(`${code} (${kind}): ${queries[0]} ${counts}`);
    }
    expect({ empty, wrong }).toEqual({ empty: [], wrong: [] });
  });
});
