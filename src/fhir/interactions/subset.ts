import { getDataType, type InternalTypeSchema } from '@medplum/core';
import type { Coding, Resource } from '@medplum/fhirtypes';
import { noteShown } from '../../kernel/acting.ts';
import { badParameter } from '../at-parameter.ts';
import { pickFrom, printJson } from '../resource-json.ts';
import type { StoredResource } from '../stored-resource.ts';

/** R4 search.html#summary and search.html#elements: which part of each resource the client wants. */
export type Subset =
  | { readonly kind: 'summary' }
  | { readonly kind: 'text' }
  | { readonly kind: 'data' }
  | { readonly kind: 'elements'; readonly names: ReadonlySet<string> };

/**
 * What `_summary` and `_elements` ask for; null for whole resources (also for `_summary=count`, which is the search's own). Throws
 * `fhir.invalid` for a summary that R4 does not have, for both at once, and for an element that is no element of any of the types.
 */
export function subsetOf(
  query: URLSearchParams,
  types: readonly string[],
  options: { lenient?: boolean } = {},
): Subset | null {
  if (query.size === 0) return null;
  const summary = query.get('_summary') || 'false';
  const elements = query.getAll('_elements').filter(Boolean).join(',');
  const kind = SUMMARIES[summary as keyof typeof SUMMARIES];
  if (!Object.hasOwn(SUMMARIES, summary) || kind === undefined) {
    throw badParameter('_summary', '_summary must be true, text, data, count or false.');
  }
  if (!elements) return kind === null ? null : { kind };
  if (kind !== null)
    throw badParameter('_elements', 'Ask for _summary or for _elements, not for both at once.');
  return elementsSubset(elements, types, options.lenient === true);
}

const SUMMARIES = { true: 'summary', text: 'text', data: 'data', count: null, false: null } as const;

function elementsSubset(list: string, types: readonly string[], lenient: boolean): Subset {
  const names = list.split(',').map((name) => name.trim());
  const known = (name: string) =>
    /^[a-zA-Z]{1,64}$/.test(name) && types.some((type) => keysOf(type).has(name));
  if (!lenient && !names.every(known)) {
    throw badParameter(
      '_elements',
      '_elements must list elements of the first level of the type, such as status,subject.',
    );
  }
  return { kind: 'elements', names: new Set(names.filter(known)) };
}

/** The stored text, or the part of it that is wanted, marked as SUBSETTED. Parses the resource only when a part is wanted. */
export function subsetJson(stored: StoredResource, subset: Subset | null): string {
  if (subset === null || stored.deleted) return stored.json;
  noteShown(stored.json);
  const resource = stored.parse();
  const part = subset.kind === 'summary' ? summaryOf(resource) : pickFrom(resource, keeps(resource, subset));
  const tag = [...(resource.meta?.tag ?? []).filter((one) => one.code !== SUBSETTED.code), SUBSETTED];
  part.meta = { ...resource.meta, tag };
  return printJson(part);
}

const SUBSETTED: Coding = {
  system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue',
  code: 'SUBSETTED',
};

const ALWAYS: ReadonlySet<string> = new Set(['resourceType', 'id', 'meta']);

/** Elements of the first level that stay. Mandatory ones always do: without them the rest would be no valid resource. */
function keeps(
  { resourceType }: Resource,
  subset: Exclude<Subset, { kind: 'summary' }>,
): (key: string) => boolean {
  if (subset.kind === 'data') return (key) => key !== 'text' && key !== '_text';
  const schema = getDataType(resourceType);
  const wanted = subset.kind === 'text' ? new Set(['text']) : subset.names;
  return (key) => {
    const name = elementOf(key, schema);
    return ALWAYS.has(key) || wanted.has(name) || isMandatory(schema, name);
  };
}

function summaryOf(resource: Resource): Partial<Resource> {
  const schema = getDataType(resource.resourceType);
  return summaryPart(resource, schema, ALWAYS) as Partial<Resource>;
}

/** The elements marked as summary in the definition, and within parts of the resource (`series`) again only those. */
function summaryPart(value: object, schema: InternalTypeSchema, always: ReadonlySet<string>): object {
  const part = pickFrom(value as Record<string, unknown>, (key) => {
    const name = elementOf(key, schema);
    return always.has(key) || schema.summaryProperties?.has(name) === true || isMandatory(schema, name);
  });
  for (const key of Object.keys(part)) {
    const inner = schema.innerTypes.length + (schema.parentType ? 1 : 0) > 0 ? innerOf(schema, key) : null;
    if (inner) part[key] = mapEach(part[key], (one) => summaryPart(one, inner, INNER_ALWAYS));
  }
  return part;
}

const INNER_ALWAYS: ReadonlySet<string> = new Set(['id']);

const mapEach = (value: unknown, change: (one: object) => object): unknown =>
  Array.isArray(value)
    ? value.map((one) => change(one as object))
    : typeof value === 'object' && value !== null
      ? change(value)
      : value;

/** The schema of a part that is defined inside the resource; null for data types, which stay whole. */
function innerOf(schema: InternalTypeSchema, key: string): InternalTypeSchema | null {
  const root = schema.parentType ?? schema;
  const code = schema.elements[key]?.type[0]?.code;
  return root.innerTypes.find((one) => one.name === code) ?? null;
}

const isMandatory = (schema: InternalTypeSchema, name: string): boolean =>
  (schema.elements[name]?.min ?? schema.elements[`${name}[x]`]?.min ?? 0) > 0;

/** `valueQuantity` → `value`, `_birthDate` → `birthDate`. */
function elementOf(key: string, schema: InternalTypeSchema): string {
  const bare = key.startsWith('_') ? key.slice(1) : key;
  if (schema.elements[bare]) return bare;
  return (
    choicesOf(schema).find((one) => bare.startsWith(one) && /^[A-Z]/.test(bare.slice(one.length))) ?? bare
  );
}

const choices = new WeakMap<InternalTypeSchema, readonly string[]>();

function choicesOf(schema: InternalTypeSchema): readonly string[] {
  let found = choices.get(schema);
  if (!found) {
    found = Object.keys(schema.elements).flatMap((name) => (name.endsWith('[x]') ? [name.slice(0, -3)] : []));
    choices.set(schema, found);
  }
  return found;
}

/** Names that `_elements` may have for the type: `value` and `valueQuantity` both mean the choice. */
function keysOf(type: string): ReadonlySet<string> {
  const names = Object.keys(getDataType(type).elements).map((name) => name.replace('[x]', ''));
  return new Set(names);
}
