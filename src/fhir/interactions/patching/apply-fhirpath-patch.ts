import type { Parameters, ParametersParameter, Resource } from '@medplum/fhirtypes';
import { Failure } from '../../../kernel/errors.ts';
import { moveSpelling } from '../../resource-json.ts';
import { PATCH_OPERATIONS_MAX } from './apply-json-patch.ts';
import { patchFailure, protectedFailure } from './patch-failure.ts';
import { type Place, schemaOf, selectPath } from './select-path.ts';

/**
 * R4 fhirpatch.html: Parameters with `operation` parts of type add, insert, delete, replace or move. Changes `resource` in place. Throws `fhir.invalid` for
 * what is no such patch or a path that is more than a selection, `fhir.protected`, and `fhir.patch` when an operation does not fit.
 */
export function applyFhirpathPatch(resource: Resource, patch: Parameters): void {
  const operations = (patch.parameter ?? []).filter((one) => one.name === 'operation');
  if (
    operations.length === 0 ||
    operations.length > PATCH_OPERATIONS_MAX ||
    operations.length !== patch.parameter?.length
  ) {
    throw new Failure(
      'fhir.invalid',
      `A FHIRPath Patch is a Parameters resource with 1 to ${PATCH_OPERATIONS_MAX} parameters named operation.`,
    );
  }
  operations.forEach((operation, at) => {
    const where = `Parameters.parameter[${at}]`;
    applyOne(resource, readOperation(operation, where), where);
  });
}

interface PatchOperation {
  readonly type: string;
  readonly path: string;
  readonly name: string | undefined;
  readonly index: number | undefined;
  readonly source: number | undefined;
  readonly destination: number | undefined;
  readonly value: Sent | undefined;
}

/** A value and the object it was sent in, which knows how its number was written. */
interface Sent {
  readonly holder: object;
  readonly key: string;
  readonly value: unknown;
}

function readOperation({ part = [] }: ParametersParameter, where: string): PatchOperation {
  const of = (name: string) => part.find((one) => one.name === name);
  const type = of('type')?.valueCode ?? of('type')?.valueString;
  const path = of('path')?.valueString;
  if (!type || !/^(?:add|insert|delete|replace|move)$/.test(type) || !path) {
    throw new Failure(
      'fhir.invalid',
      'An operation needs a type (add, insert, delete, replace, move) and a path.',
      {
        issues: [{ text: 'an operation needs type and path', at: where }],
      },
    );
  }
  const value = of('value');
  return {
    type,
    path,
    name: of('name')?.valueString,
    index: of('index')?.valueInteger,
    source: of('source')?.valueInteger,
    destination: of('destination')?.valueInteger,
    value: value ? sentValue(value) : undefined,
  };
}

/** `value[x]` of any data type; parts stand for an element that is no data type (R4 fhirpatch.html#anonymous). */
function sentValue(parameter: ParametersParameter): Sent | undefined {
  const holder = parameter as unknown as Record<string, unknown>;
  const key = Object.keys(holder).find((one) => one.startsWith('value'));
  if (key) return { holder, key, value: holder[key] };
  if (parameter.resource) return { holder, key: 'resource', value: parameter.resource };
  if (!parameter.part) return undefined;
  const value: Record<string, unknown> = {};
  for (const part of parameter.part) {
    const sent = sentValue(part);
    if (!sent || !part.name || !/^[a-z][A-Za-z]{0,63}$/.test(part.name)) continue;
    const isKnown = value[part.name] !== undefined;
    // A name that comes again makes a list.
    value[part.name] = isKnown ? [value[part.name], sent.value].flat() : sent.value;
    if (!isKnown) moveSpelling(sent.holder, sent.key, value, part.name);
  }
  return { holder: { value }, key: 'value', value };
}

function applyOne(resource: Resource, operation: PatchOperation, where: string): void {
  if (OWNED_PATH.test(operation.path)) throw protectedFailure(where);
  const places = selectPath(resource, operation.path);
  if (places === null) {
    throw new Failure('fhir.invalid', 'A path of the patch is more than a selection of elements.', {
      issues: [
        {
          text: 'the path may use names, [n], first(), last(), ofType(), extension() and where()',
          at: where,
        },
      ],
    });
  }
  for (const { under } of places) {
    if (OWNED.has(under || (operation.name ?? ''))) throw protectedFailure(where);
  }
  APPLY[operation.type as keyof typeof APPLY](places, operation, where);
}

const OWNED_PATH = /^[A-Za-z]+\.(?:id|resourceType|meta)(?![A-Za-z])/;

/** However the path led there. */
const OWNED: ReadonlySet<string> = new Set(['id', 'resourceType', 'meta']);

const APPLY = {
  add(places: readonly Place[], { name, value }: PatchOperation, where: string): void {
    const target = theOne(places, where);
    if (typeof target.value !== 'object' || target.value === null)
      throw patchFailure('nothing can be added there', where);
    const found = name && value ? elementFor(target.type, name, value) : null;
    if (!found || !value)
      throw patchFailure('add needs a value, and the name of an element of what path leads to', where);
    const holder = target.value as Record<string, unknown>;
    const present = holder[found.key];
    if (!found.isList) {
      if (present !== undefined) throw patchFailure('the element is there already; use replace', where);
      put(value, holder, found.key);
    } else {
      const list = (present as unknown[] | undefined) ?? [];
      holder[found.key] = list;
      list.push(value.value);
      moveSpelling(value.holder, value.key, list, String(list.length - 1));
    }
  },
  insert(places: readonly Place[], { index, value }: PatchOperation, where: string): void {
    const list = listOf(places, where);
    if (index === undefined || index < 0 || index > list.length || !value)
      throw patchFailure('insert needs a value, and an index within the list', where);
    list.splice(index, 0, value.value);
  },
  delete(places: readonly Place[], _operation: PatchOperation, where: string): void {
    // R4 fhirpatch.html: deleting what is not there is no error.
    if (places.length > 0) remove(theOne(places, where));
  },
  replace(places: readonly Place[], { value }: PatchOperation, where: string): void {
    const target = theOne(places, where);
    if (!value || target.key === '')
      throw patchFailure('replace needs a value and a path to an element', where);
    if (target.index === null) put(value, target.holder, target.key);
    else put(value, target.holder[target.key] as unknown as Record<string, unknown>, String(target.index));
  },
  move(places: readonly Place[], { source, destination }: PatchOperation, where: string): void {
    const list = listOf(places, where);
    const isInside = (at: number | undefined): at is number =>
      at !== undefined && at >= 0 && at < list.length;
    if (!isInside(source) || !isInside(destination))
      throw patchFailure('move needs source and destination within the list', where);
    list.splice(destination, 0, ...list.splice(source, 1));
  },
};

function theOne(places: readonly Place[], where: string): Place {
  const [place, second] = places;
  if (!place) throw patchFailure('the path leads to nothing in this version of the resource', where);
  if (second) throw patchFailure('the path leads to more than one element; narrow it', where);
  return place;
}

/** insert and move name the list by its elements, which must all stand in one. */
function listOf(places: readonly Place[], where: string): unknown[] {
  const [place] = places;
  const list = place?.holder[place.key];
  if (!place || !Array.isArray(list) || places.some((one) => one.holder !== place.holder))
    throw patchFailure('the path must lead to the elements of one list', where);
  return list;
}

function put({ holder, key, value }: Sent, into: Record<string, unknown>, as: string): void {
  into[as] = value;
  moveSpelling(holder, key, into, as);
}

function remove({ holder, key, index }: Place): void {
  const list = holder[key];
  if (index !== null && Array.isArray(list) && list.length > 1) list.splice(index, 1);
  // Empty arrays are not allowed in FHIR JSON.
  else delete holder[key];
}

/** The key under which a value of the element goes: `value` with a `valueQuantity` → `valueQuantity`. */
function elementFor(type: string, name: string, { key }: Sent): { key: string; isList: boolean } | null {
  const elements = schemaOf(type)?.elements;
  const plain = elements?.[name];
  if (plain) return { key: name, isList: plain.isArray === true || plain.max > 1 };
  const choice = elements?.[`${name}[x]`];
  const code = /^value([A-Z]\w*)$/.exec(key)?.[1];
  const isAllowed = choice?.type.some((one) => one.code.toLowerCase() === code?.toLowerCase());
  return code && isAllowed ? { key: `${name}${code}`, isList: false } : null;
}
