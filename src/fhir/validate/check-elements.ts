import { getAllDataTypes, type InternalSchemaElement, type InternalTypeSchema } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import type { FailureIssue } from '../../kernel/errors.ts';
import { checkPeriod } from './check-period.ts';
import { checkPrimitive } from './check-primitive.ts';
import { checkReference } from './check-reference.ts';
import { JSON_DEPTH_MAX } from './scan-json.ts';

/** Twenty thousand bad codes must not make an answer of megabytes. */
export const ISSUES_MAX = 50;

/**
 * The second layer: one walk over the resource along the type table, for what the validator lets through. Each rule is a small file; this
 * one knows how to walk: choice types, lists, inner types, contained resources.
 */
export function checkElements(resource: Resource): FailureIssue[] {
  const walk: Walk = { issues: [], contained: containedIds(resource) };
  walkObject(resource as unknown as JsonObject, resource.resourceType, resource.resourceType, 0, walk);
  return walk.issues;
}

type JsonObject = Readonly<Record<string, unknown>>;

interface Walk {
  readonly issues: FailureIssue[];
  /** Ids of contained resources, for `#id` references. */
  readonly contained: ReadonlySet<string>;
}

function containedIds(resource: Resource): Set<string> {
  const { contained } = resource as { contained?: unknown };
  const list = Array.isArray(contained) ? (contained as { id?: unknown }[]) : [];
  return new Set(list.flatMap((one) => (typeof one?.id === 'string' ? one.id : [])));
}

function walkObject(object: JsonObject, type: string, path: string, depth: number, walk: Walk): void {
  if (walk.issues.length >= ISSUES_MAX) return;
  const schema = getAllDataTypes()[type];
  // What is no type of ours is refused by the validator, which comes next.
  if (!schema) return;
  if (depth > JSON_DEPTH_MAX)
    return void walk.issues.push({ text: 'Nested too deep.', at: path, type: 'too-long' });
  const choices = new Map<string, string>();
  for (const [key, value] of Object.entries(object)) {
    if (key === 'resourceType' || key === 'fhir_comments') continue;
    const element = elementOf(schema, key, choices, path, walk);
    if (value === null || isEmpty(value)) {
      if (value !== null)
        walk.issues.push({ text: 'Empty values are not allowed.', at: `${path}.${key}`, type: 'structure' });
      continue;
    }
    if (!element) continue;
    const items: unknown[] = Array.isArray(value) ? value : [value];
    items.forEach((item, at) => {
      walkValue(
        item,
        element,
        Array.isArray(value) ? `${path}.${key}[${at}]` : `${path}.${key}`,
        depth + 1,
        walk,
      );
    });
  }
  if (type === 'Period') walk.issues.push(...checkPeriod(object, path));
}

interface Typed {
  readonly type: string;
  readonly element: InternalSchemaElement;
}

/** The definition of a key; `valueQuantity` belongs to `value[x]`, of which only one may be there. */
function elementOf(
  schema: InternalTypeSchema,
  key: string,
  choices: Map<string, string>,
  path: string,
  walk: Walk,
): Typed | null {
  const name = key.startsWith('_') ? key.slice(1) : key;
  const plain = schema.elements[name];
  // The base definition calls a resource's id a string; resource.html#id makes it an id.
  if (key === 'id' && plain && schema.kind === 'resource') return { type: 'id', element: plain };
  if (plain) return { type: key === name ? (plain.type[0]?.code ?? '') : 'Element', element: plain };
  const choice = choicesOf(schema).get(name);
  if (!choice) return null;
  const other = choices.get(choice.element.path);
  if (other !== undefined && other !== name) {
    walk.issues.push({
      text: 'Only one type of a choice element is allowed.',
      at: `${path}.${key}`,
      type: 'structure',
    });
  }
  choices.set(choice.element.path, name);
  return key === name ? choice : { type: 'Element', element: choice.element };
}

/** `valueQuantity` → its type and `value[x]`; worked out once per type. */
function choicesOf(schema: InternalTypeSchema): Map<string, Typed> {
  let choices = choicesBySchema.get(schema);
  if (!choices) {
    choices = new Map(
      Object.entries(schema.elements)
        .filter(([name]) => name.endsWith('[x]'))
        .flatMap(([name, element]) =>
          element.type.map(({ code }): [string, Typed] => [
            `${name.slice(0, -3)}${code.charAt(0).toUpperCase()}${code.slice(1)}`,
            { type: code, element },
          ]),
        ),
    );
    choicesBySchema.set(schema, choices);
  }
  return choices;
}

const choicesBySchema = new WeakMap<InternalTypeSchema, Map<string, Typed>>();

const isEmpty = (value: unknown): boolean =>
  value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

function walkValue(value: unknown, { type, element }: Typed, path: string, depth: number, walk: Walk): void {
  if (typeof value !== 'object') {
    walk.issues.push(...checkPrimitive(value, type, path));
    return;
  }
  if (value === null) return;
  if (isEmpty(value))
    return void walk.issues.push({ text: 'Empty values are not allowed.', at: path, type: 'structure' });
  const object = value as JsonObject;
  if (type === 'Reference') walk.issues.push(...checkReference(object, element, path, walk.contained));
  if (type === 'Resource') {
    const inner = object['resourceType'];
    if (typeof inner !== 'string') {
      walk.issues.push({ text: 'A contained resource needs its resourceType.', at: path, type: 'structure' });
    } else walkObject(object, inner, path, depth, { ...walk, contained: inside(object, walk) });
    return;
  }
  walkObject(object, type, path, depth, walk);
}

/** A resource in a Bundle has contained ones of its own; a contained one shares those of its container. */
function inside(resource: JsonObject, walk: Walk): ReadonlySet<string> {
  const own = containedIds(resource as unknown as Resource);
  return own.size > 0 ? own : walk.contained;
}
