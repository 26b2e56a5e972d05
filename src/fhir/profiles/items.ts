import type { JsonObject } from '../validate/invariant.ts';
import { type Field, type TypeNode, typeNode } from '../validate/type-node.ts';

/** One value of an element, with what is needed to go on from it. */
export interface Item {
  readonly value: unknown;
  /** Its type; for a resource the resourceType. */
  readonly type: string;
  /** What its children are looked up in: the value, or for a primitive the object beside it (`_birthDate`). */
  readonly element: JsonObject;
  /** FHIRPath expression of its place. */
  readonly at: string;
}

/** The values of an element of `parent`: `value[x]` in whatever type is there, `valueQuantity` in that one. */
export function itemsOf(parent: Item, name: string): Item[] {
  const node = typeNode(parent.type);
  if (!node) return [];
  const items: Item[] = [];
  for (const [key, field] of keysOf(node, name)) {
    const value = parent.element[key];
    const beside = parent.element[`_${key}`];
    if (value === undefined && beside === undefined) continue;
    const at = `${parent.at}.${key}`;
    if (!field.list) items.push(itemOf(value, beside, field, at));
    else {
      const values: readonly unknown[] = Array.isArray(value) ? value : [];
      const besides: readonly unknown[] = Array.isArray(beside) ? beside : [];
      for (let i = 0; i < Math.max(values.length, besides.length); i++)
        items.push(itemOf(values[i], besides[i], field, `${at}[${i}]`));
    }
  }
  return items;
}

function itemOf(value: unknown, beside: unknown, field: Field, at: string): Item {
  const object = (typeof value === 'object' && value !== null ? value : {}) as JsonObject;
  const inner = field.type === 'Resource' ? String(object['resourceType']) : field.type;
  return {
    value: value ?? undefined,
    type: inner,
    element: field.primitive ? ((beside ?? {}) as JsonObject) : object,
    at,
  };
}

function keysOf(node: TypeNode, name: string): readonly (readonly [string, Field])[] {
  let byName = keysByNode.get(node);
  if (!byName) {
    byName = new Map();
    keysByNode.set(node, byName);
  }
  let keys = byName.get(name);
  if (!keys) {
    const plain = node.fields.get(name);
    keys = plain ? [[name, plain]] : [...node.fields].filter(([, field]) => field.name === name);
    byName.set(name, keys);
  }
  return keys;
}

const keysByNode = new WeakMap<TypeNode, Map<string, readonly (readonly [string, Field])[]>>();
