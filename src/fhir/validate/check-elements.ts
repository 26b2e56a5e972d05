import type { Resource } from '@medplum/fhirtypes';
import { checkBinding, isWordsOnly, WORDS_ONLY } from './check-bindings.ts';
import { checkBundle } from './check-bundle.ts';
import { checkContained } from './check-contained.ts';
import { checkNarrative } from './check-narrative.ts';
import { checkReference } from './check-reference.ts';
import type { Invariant, JsonObject } from './invariant.ts';
import { JSON_DEPTH_MAX } from './scan-json.ts';
import { type Field, isElementName, type TypeNode, typeNode } from './type-node.ts';
import type { ValidationIssue } from './validation-issue.ts';

/** Twenty thousand bad codes must not make an answer of megabytes. */
export const ISSUES_MAX = 50;

/**
 * One walk over a resource along the R4 definitions: elements that exist, cardinality, primitive types, required codes, references, narrative and
 * invariants. What it may not do is be slow or throw: it runs on every write, on whatever was sent. The place of a fault is only
 * put together when there is one.
 */
export function checkElements(resource: Resource): ValidationIssue[] {
  return walkElements(resource).issues;
}

/** The same, and the resources and extensions met on the way that claim or may have a profile. */
export function walkElements(resource: Resource): Pick<Walk, 'issues' | 'claims'> {
  const object = resource as unknown as JsonObject;
  const { resourceType } = resource;
  const walk: Walk = {
    ...{ issues: [], claims: [], path: [resourceType] },
    ...{ resource: object, root: object, ids: null, bundled: false },
  };
  const node = typeNode(resourceType);
  if (!node?.isResource) report(walk, 'structure', 'FHIR R4 has no such resource type.');
  else walkResource(object, node, walk);
  return walk;
}

/** `meta.profile` of a resource, or the URL of an extension. */
export interface ProfileClaim {
  readonly kind: 'resource' | 'extension';
  readonly object: JsonObject;
  readonly url: string;
  readonly at: string;
}

interface Walk {
  readonly issues: ValidationIssue[];
  readonly claims: ProfileClaim[];
  /** Keys and positions from the root to where we are. */
  readonly path: (string | number)[];
  resource: JsonObject;
  root: JsonObject;
  /** Element ids of this resource; made when the first is met. */
  ids: Set<string> | null;
  /** Inside a Bundle or Parameters a resource is a root of its own. */
  bundled: boolean;
}

function report(walk: Walk, type: string, text: string, more?: string): void {
  if (walk.issues.length > ISSUES_MAX) return;
  const at = expressionOf(walk.path) + (more ? `.${more}` : '');
  walk.issues.push({ severity: 'error', text, at, type });
}

/** `['Patient', 'name', 0, 'given']` → `Patient.name[0].given` */
function expressionOf(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part.slice(0, KEY_CHARACTERS_SHOWN)}`;
  }
  return text;
}

/** A key is part of what was sent: of one that no definition knows only so much is repeated. */
const KEY_CHARACTERS_SHOWN = 64;

function walkResource(object: JsonObject, node: TypeNode, walk: Walk): void {
  const { resource, root, ids } = walk;
  walk.resource = object;
  walk.ids = null;
  const own = walk.bundled || resource === object;
  if (own) walk.root = object;
  walk.bundled = node.name === 'Bundle' || node.name === 'Parameters';
  walkObject(object, node, walk);
  claim(object, walk);
  if (node.name === 'Bundle')
    for (const fault of checkBundle(object)) report(walk, fault.type, fault.text, fault.at);
  for (const fault of checkContained(object, !own)) report(walk, fault.type, fault.text, fault.at);
  walk.resource = resource;
  walk.root = root;
  walk.ids = ids;
}

function claim(object: JsonObject, walk: Walk): void {
  const profiles = (object['meta'] as JsonObject | undefined)?.['profile'];
  if (!Array.isArray(profiles)) return;
  for (const url of profiles) {
    if (typeof url === 'string')
      walk.claims.push({ kind: 'resource', object, url, at: expressionOf(walk.path) });
  }
}

function walkObject(object: JsonObject, node: TypeNode, walk: Walk): void {
  if (walk.issues.length >= ISSUES_MAX) return;
  if (walk.path.length > PATH_PARTS_MAX) return void report(walk, 'too-long', 'Nested too deep.');
  if (!node.isResource && typeof object['id'] === 'string') unique(object['id'], walk);
  let choices: Map<string, string> | null = null;
  for (const key in object) {
    if (key === 'resourceType' && node.isResource) continue;
    const underscored = key.charCodeAt(0) === UNDERSCORE;
    const name = underscored ? key.slice(1) : key;
    const field = node.fields.get(name);
    if (!field || (underscored && !field.primitive)) {
      report(walk, 'structure', unknownText(key, object), unknownKey(key));
      continue;
    }
    if (field.choice) {
      choices ??= new Map();
      const other = choices.get(field.name);
      if (other !== undefined && other !== name)
        report(walk, 'structure', 'Only one type of a choice element is allowed.', key);
      choices.set(field.name, name);
    }
    walk.path.push(key);
    if (underscored) walkExtensions(object[key], object[name], field, walk);
    else walkField(object, key, field, walk);
    walk.path.pop();
  }
  for (const { name, keys } of node.required) {
    if (!keys.some((key) => object[key] !== undefined || object[`_${key}`] !== undefined))
      report(walk, 'required', 'This element is required.', name.replace('[x]', ''));
  }
  checkInvariants(object, node.name, node.invariants, walk);
}

/** R4 element.html#id: unique within the resource. */
function unique(id: string, walk: Walk): void {
  walk.ids ??= new Set();
  if (walk.ids.has(id)) report(walk, 'duplicate', 'Two elements of the resource have the same id.', 'id');
  walk.ids.add(id);
}

const UNDERSCORE = 0x5f;
/** Two parts per level at most: a key, and a position in its list. */
const PATH_PARTS_MAX = 2 * JSON_DEPTH_MAX;

/** A name that no element has may be a value in the wrong place, and is not repeated: its number must do. */
const unknownText = (key: string, object: JsonObject): string =>
  unknownKey(key) === ''
    ? `There is no such element (number ${Object.keys(object).indexOf(key) + 1} of this object); remove it.`
    : 'There is no such element; remove it.';

/** Named only when some type of R4 has such an element, whatever the case: any other key is the sender's text, and may be a patient's name. */
const unknownKey = (key: string): string => (isElementName(key.replace(/^_/, '')) ? key : '');

function walkField(object: JsonObject, key: string, field: Field, walk: Walk): void {
  const value = object[key];
  if (!field.list) {
    if (Array.isArray(value))
      return void report(walk, 'structure', 'This element is not a list; send one value without brackets.');
    return void walkValue(value, field, walk);
  }
  if (!Array.isArray(value))
    return void report(walk, 'structure', 'This element is a list; put the value in brackets.');
  if (value.length === 0) return void report(walk, 'structure', EMPTY);
  if (value.length > field.max)
    report(walk, 'structure', `At most ${field.max} of this element are allowed.`);
  // The name of what stands beside is made only where it may be looked at.
  const extensions = field.primitive ? object[`_${key}`] : undefined;
  const beside: readonly unknown[] = Array.isArray(extensions) ? extensions : [];
  for (let at = 0; at < value.length && walk.issues.length < ISSUES_MAX; at++) {
    // A primitive that has only an extension is null in its list (json.html#primitive).
    if (value[at] === null && field.primitive && isObject(beside[at])) {
      if (field.binding) report(walk, 'code-invalid', CODE_NEEDED);
      continue;
    }
    walk.path.push(at);
    walkValue(value[at], field, walk);
    walk.path.pop();
  }
}

const CODE_NEEDED = 'A code of the required value set is needed; an extension alone does not do.';
const EMPTY = 'Empty values are not allowed; leave the element out.';
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function walkValue(value: unknown, field: Field, walk: Walk): void {
  if (value === null || value === undefined || value === '') return void report(walk, 'structure', EMPTY);
  if (field.primitive) {
    const fault = field.primitive(value);
    if (fault) return void report(walk, 'value', fault);
    if (field.type === 'xhtml') {
      const wrong = checkNarrative(value as string);
      if (wrong) report(walk, 'invariant', wrong);
    }
    if (field.binding) bound(value, field, walk);
    if (field.invariants.length > 0) checkInvariants(value, field.type, field.invariants, walk);
    return;
  }
  if (!isObject(value))
    return void report(walk, 'structure', 'This element is an object, not a plain value or a list.');
  for (const _any in value) {
    walkComplex(value, field, walk);
    return;
  }
  report(walk, 'structure', EMPTY);
}

function walkComplex(value: JsonObject, field: Field, walk: Walk): void {
  if (field.type === 'Resource' || typeNode(field.type)?.isResource)
    return void walkInner(value, field, walk);
  const node = typeNode(field.type);
  if (!node) return void report(walk, 'structure', 'R4 has no such type.');
  walkObject(value, node, walk);
  if (field.type === 'Extension' && typeof value['url'] === 'string' && isCanonical(value['url']))
    walk.claims.push({ kind: 'extension', object: value, url: value['url'], at: expressionOf(walk.path) });
  if (field.type === 'Reference') {
    const [outermost] = walk.path;
    const conditional = outermost === 'Bundle' || outermost === 'Parameters';
    for (const fault of checkReference(value, field.targets, walk.root, walk.resource, conditional))
      report(walk, fault.type ?? 'value', fault.text, fault.at);
  }
  if (field.binding) bound(value, field, walk);
  if (field.invariants.length === 0) return;
  checkInvariants(value, field.type, invariantsBeside(field, node), walk);
}

/** An element with elements of its own (`Patient.contact`) is a type as well: what was asked of it there is not asked, and told, twice. */
function invariantsBeside(field: Field, node: TypeNode): readonly Invariant[] {
  if (!node.inner) return field.invariants;
  let rest = rests.get(field);
  if (!rest) {
    rest = field.invariants.filter(({ key }) => !node.invariants.some((one) => one.key === key));
    rests.set(field, rest);
  }
  return rest;
}

const rests = new Map<Field, readonly Invariant[]>();

/** Inside an extension the parts have plain names, which are no definitions. */
const isCanonical = (url: string): boolean => url.startsWith('http');

function walkInner(value: JsonObject, field: Field, walk: Walk): void {
  const type = value['resourceType'];
  const node = typeof type === 'string' ? typeNode(type) : undefined;
  if (!node?.isResource || node.name === 'Resource' || node.name === 'DomainResource')
    return void report(
      walk,
      'structure',
      'A resource inside another needs a resourceType that FHIR R4 knows.',
    );
  if (field.type !== 'Resource' && field.type !== type)
    return void report(walk, 'structure', `This element holds a resource of type ${field.type}.`);
  const { bundled } = walk;
  if (field.name === 'contained') walk.bundled = false;
  walkResource(value, node, walk);
  walk.bundled = bundled;
}

/** `_birthDate`: id and extensions of a primitive, or a list of them beside the list of values. */
function walkExtensions(value: unknown, primitives: unknown, field: Field, walk: Walk): void {
  if (!field.list) {
    if (!isObject(value))
      return void report(walk, 'structure', 'This must be an object with id or extension.');
    if (field.binding && primitives === undefined) report(walk, 'code-invalid', CODE_NEEDED);
    return void walkElement(value, walk);
  }
  if (!Array.isArray(value) || value.length === 0)
    return void report(walk, 'structure', 'This must be a list as long as the list of values.');
  if (Array.isArray(primitives) ? primitives.length !== value.length : primitives !== undefined)
    report(walk, 'structure', 'The list of extensions must be as long as the list of values.');
  value.forEach((item: unknown, at) => {
    if (item === null && Array.isArray(primitives) && primitives[at] !== null) return;
    walk.path.push(at);
    if (field.binding && primitives === undefined) report(walk, 'code-invalid', CODE_NEEDED);
    if (isObject(item)) walkElement(item, walk);
    else report(walk, 'structure', 'This must be an object with id or extension.');
    walk.path.pop();
  });
}

function walkElement(value: JsonObject, walk: Walk): void {
  if (Object.keys(value).length === 0) return void report(walk, 'structure', EMPTY);
  walkObject(value, typeNode('Element') as TypeNode, walk);
}

function bound(value: unknown, field: Field, walk: Walk): void {
  if (field.binding && !checkBinding(value, field.type, field.binding))
    report(
      walk,
      'code-invalid',
      isWordsOnly(value, field.type) ? WORDS_ONLY : 'The code is not in the required value set.',
    );
}

function checkInvariants(value: unknown, type: string, invariants: readonly Invariant[], walk: Walk): void {
  for (const invariant of invariants) {
    if (invariant.severity === 'error' && !invariant.holds(value, type, walk))
      report(walk, 'invariant', `${invariant.key}: ${invariant.human}`.slice(0, 300));
  }
}
