import { getAllDataTypes, type InternalSchemaElement, type InternalTypeSchema } from '@medplum/core';
import { definitions, type RequiredSet } from '../definitions/definitions.ts';
import { compileInvariant } from './compile-invariant.ts';
import type { Invariant } from './invariant.ts';
import { LANGUAGE_TAGS } from './language-tag.ts';
import { OWN_RULES } from './native-invariants.ts';
import { type CheckPrimitive, PRIMITIVES } from './primitives.ts';

/** A type of R4 (or an inner one, `ObservationComponent`) as the walk needs it: everything looked up and compiled once. */
export interface TypeNode {
  readonly name: string;
  readonly isResource: boolean;
  /** Defined inside another type: `ObservationComponent`. */
  readonly inner: boolean;
  /** JSON key → its element; a choice has one key for each of its types. */
  readonly fields: ReadonlyMap<string, Field>;
  /** Elements that must be there, each with the keys any of which will do. */
  readonly required: readonly { readonly name: string; readonly keys: readonly string[] }[];
  readonly invariants: readonly Invariant[];
}

export interface Field {
  /** As the definition names it: `value[x]`. */
  readonly name: string;
  /** The element is a choice of types. */
  readonly choice: boolean;
  readonly type: string;
  readonly list: boolean;
  readonly max: number;
  /** Null: not a primitive. */
  readonly primitive: CheckPrimitive | null;
  /** Types a reference may point to; null: any, or not a reference. */
  readonly targets: ReadonlySet<string> | null;
  readonly binding: RequiredSet | null;
  readonly invariants: readonly Invariant[];
}

/** The node of a type; undefined when R4 has no such type. Compiled when it is first asked for. */
export function typeNode(name: string): TypeNode | undefined {
  const known = nodes.get(name);
  if (known) return known;
  const table = getAllDataTypes();
  const schema = Object.hasOwn(table, name) ? table[name] : undefined;
  if (!schema) return undefined;
  const node = compile(schema);
  nodes.set(name, node);
  return node;
}

/** Has any type of R4 an element of this name, written in whatever case? */
export function isElementName(name: string): boolean {
  elementNames ??= new Set(
    Object.values(getAllDataTypes()).flatMap(({ elements }) =>
      Object.keys(elements).map((path) => (path.split('.').at(-1) ?? '').toLowerCase()),
    ),
  );
  return elementNames.has(name.toLowerCase());
}

let elementNames: Set<string> | undefined;

const nodes = new Map<string, TypeNode>();

function compile(schema: InternalTypeSchema): TypeNode {
  const fields = new Map<string, Field>();
  const required: TypeNode['required'][number][] = [];
  for (const [name, element] of Object.entries(schema.elements)) {
    const keys = addFields(name, element, schema, fields);
    if (element.min > 0) required.push({ name, keys });
  }
  return {
    name: schema.name,
    isResource: schema.kind === 'resource',
    inner: schema.parentType !== undefined,
    fields,
    required,
    invariants: [
      ...(schema.constraints ?? []).flatMap((one) => compileInvariant(one, schema.name) ?? []),
      ...(OWN_RULES[schema.name] ?? []),
    ],
  };
}

function addFields(
  name: string,
  element: InternalSchemaElement,
  schema: InternalTypeSchema,
  fields: Map<string, Field>,
): string[] {
  const choice = name.endsWith('[x]');
  const keys: string[] = [];
  for (const { code } of element.type) {
    const type = typeOf(code, name, schema);
    const key = choice ? `${name.slice(0, -3)}${code.charAt(0).toUpperCase()}${code.slice(1)}` : name;
    keys.push(key);
    // The first type wins where a plain element lists a type twice (an unlimited reference beside a limited one).
    if (fields.has(key)) continue;
    fields.set(key, {
      name,
      choice,
      type,
      list: element.isArray === true,
      max: element.max,
      primitive: PRIMITIVES[type] ?? null,
      targets: type === 'Reference' ? targetsOf(element) : null,
      binding: isLanguage(name, type, schema) ? LANGUAGE_TAGS : bindingOf(element),
      invariants: (element.constraints ?? []).flatMap((one) => compileInvariant(one, schema.name) ?? []),
    });
  }
  return keys;
}

/** Wherever R4 has a code `language`, some are preferred and the maxValueSet has all of BCP 47; but that of an Expression is one of programs. */
const isLanguage = (name: string, type: string, { name: of }: InternalTypeSchema): boolean =>
  name === 'language' && type === 'code' && of !== 'Expression';

/** The base definition calls a resource's id a string; resource.html#id makes it an id. */
function typeOf(code: string, name: string, schema: InternalTypeSchema): string {
  if (name === 'id' && schema.kind === 'resource') return 'id';
  return code.startsWith(SYSTEM_TYPE) ? code.slice(SYSTEM_TYPE.length).toLowerCase() : code;
}

const SYSTEM_TYPE = 'http://hl7.org/fhirpath/System.';
const BASE = 'http://hl7.org/fhir/StructureDefinition/';

/** Null: any type, or a profile this server does not know. */
function targetsOf(element: Pick<InternalSchemaElement, 'type'>): ReadonlySet<string> | null {
  const profiles = element.type.find((type) => type.code === 'Reference')?.targetProfile;
  if (!profiles) return null;
  const names = profiles.map((url) => url.slice(BASE.length));
  const plain = profiles.every((url) => url.startsWith(BASE)) && !names.includes('Resource');
  return plain ? new Set(names) : null;
}

function bindingOf({ binding }: InternalSchemaElement): RequiredSet | null {
  if (binding?.strength !== 'required') return null;
  return definitions().requiredSets.get((binding.valueSet ?? '').replace(/\|.*$/, '')) ?? null;
}
