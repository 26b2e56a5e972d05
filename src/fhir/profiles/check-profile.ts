import { type BoundCodes, codesOf, UNASKED } from '../validate/bound-codes.ts';
import { checkBinding, isWordsOnly, WORDS_ONLY } from '../validate/check-bindings.ts';
import type { InvariantScope, JsonObject } from '../validate/invariant.ts';
import { typeNode } from '../validate/type-node.ts';
import type { ValidationIssue } from '../validate/validation-issue.ts';
import { type Item, itemsOf } from './items.ts';
import { inSlice } from './match-slice.ts';
import { matchesPattern, sameValue } from './match-value.ts';
import type { Binding, FindProfile, Profile, Rule } from './rule.ts';

/**
 * R4 profiling.html: what a profile demands beyond the base definition, asked of a resource that has passed that one. Gives every fault with its
 * place and the profile's URL, never a value.
 */
export function checkProfile(
  /** A resource, or an extension. */
  resource: JsonObject,
  /** FHIRPath expression of where it stands. */
  at: string,
  profile: Profile,
  find: FindProfile,
  codes: BoundCodes = UNASKED,
): ValidationIssue[] {
  const type = typeof resource['resourceType'] === 'string' ? resource['resourceType'] : 'Extension';
  const check: Check = { issues: [], profile: profile.url, find, codes, resource, running: new Set() };
  if (type !== profile.type) {
    tell(check, 'structure', 'The profile is for another type of resource.', at);
    return check.issues;
  }
  checkRoot({ value: resource, type, element: resource, at }, profile, check);
  return check.issues;
}

interface Check {
  readonly issues: ValidationIssue[];
  readonly profile: string;
  readonly find: FindProfile;
  readonly codes: BoundCodes;
  readonly resource: JsonObject;
  /** `place profile` being checked: definitions may refer to each other in a circle. */
  readonly running: Set<string>;
}

function tell(
  check: Check,
  type: string,
  text: string,
  at: string,
  severity: ValidationIssue['severity'] = 'error',
): void {
  check.issues.push({ severity, type, text: `${text} (${check.profile})`, at });
}

function checkRoot(item: Item, profile: Profile, check: Check): void {
  const key = `${item.at} ${profile.url}`;
  if (check.running.has(key)) return;
  check.running.add(key);
  checkItem(profile.root, item, { ...check, profile: profile.url });
  check.running.delete(key);
  for (const one of profile.unevaluated)
    tell(check, 'informational', `The invariant ${one} is not evaluated here.`, item.at, 'warning');
}

function checkItem(rule: Rule, item: Item, check: Check): void {
  checkTypes(rule, item, check);
  if (rule.fixed !== undefined && !sameValue(item.value, rule.fixed))
    tell(check, 'value', 'The value is not the one the profile fixes.', item.at);
  if (rule.pattern !== undefined && !matchesPattern(item.value, rule.pattern))
    tell(check, 'value', 'The value lacks what the profile demands.', item.at);
  if (item.value !== undefined)
    for (const binding of [rule.binding, rule.outermost]) if (binding) checkBound(binding, item, check);
  if (rule.maxLength !== undefined && typeof item.value === 'string' && item.value.length > rule.maxLength)
    tell(check, 'too-long', `At most ${rule.maxLength} characters are allowed.`, item.at);
  checkInvariants(rule, item, check);
  for (const child of rule.children.values()) checkElement(child, item, check);
}

/** R4 terminologies.html#strength. A code that no required set has is a fault; the rest is told. */
function checkBound(binding: Binding, item: Item, check: Check): void {
  const { strength, valueSet } = binding;
  const held = heldBy(binding, item, check.codes);
  if (held === true || held === undefined) return;
  if (held === null) {
    const text = `Whether the code is in the value set ${valueSet} cannot be told here; load it, and the code systems it draws on.`;
    tell(check, 'not-found', text, item.at, 'warning');
  } else if (strength === 'required') {
    const text = isWordsOnly(item.value, item.type)
      ? WORDS_ONLY
      : 'The code is not in the value set that the profile requires.';
    tell(check, 'code-invalid', text, item.at);
  } else {
    const text = `The code is not in the value set ${valueSet}; take one of it where one fits.`;
    tell(check, 'code-invalid', text, item.at, 'warning');
  }
}

/** Null: it cannot be told. Undefined: nobody was asked. */
function heldBy(
  { set, strength, valueSet }: Binding,
  { value, type }: Item,
  codes: BoundCodes,
): boolean | null | undefined {
  if (strength === 'extensible' && !codes.extensible) return undefined;
  if (isWordsOnly(value, type)) return strength !== 'required';
  if (set) return checkBinding(value, type, set);
  const asked = codesOf(value, type);
  return asked === null ? true : codes.anyIn(valueSet, asked);
}

/** An element of an object: how many, each of them, and the slices they fall into. */
function checkElement(rule: Rule, parent: Item, check: Check): void {
  const items = itemsOf(parent, rule.name);
  count(rule, items.length, `${parent.at}.${rule.name.replace('[x]', '')}`, check);
  for (const item of items) checkItem(rule, item, check);
  if (rule.slices.length > 0) checkSlices(rule, items, `${parent.at}.${rule.name.replace('[x]', '')}`, check);
}

function count(
  { min = 0, max = Number.POSITIVE_INFINITY, slice }: Rule,
  has: number,
  at: string,
  check: Check,
): void {
  const what = slice === null ? 'of this element' : `of the slice ${slice}`;
  if (has < min)
    tell(check, 'required', `At least ${min} ${what} must be there, with the value the profile demands.`, at);
  if (has > max) tell(check, 'structure', `At most ${max} ${what} may be there.`, at);
}

function checkSlices(rule: Rule, items: readonly Item[], at: string, check: Check): void {
  const slicing = rule.slicing ?? DEFAULT_SLICING[rule.name] ?? (rule.name.endsWith('[x]') ? BY_TYPE : null);
  if (!slicing) return;
  const scope = {
    find: check.find,
    conforms: (item: Item, profile: string) => conforms(item, profile, check),
    isBound: (item: Item, binding: Binding) => heldBy(binding, item, check.codes) === true,
    resolve: (reference: string) => resolve(reference, check.resource),
  };
  const members = new Map<Rule, Item[]>(rule.slices.map((slice) => [slice, []]));
  let last = -1;
  for (const item of items) {
    const position = rule.slices.findIndex((slice) => inSlice(item, slice, slicing, scope));
    const slice = rule.slices[position];
    if (!slice) {
      if (slicing.rules === 'closed')
        tell(check, 'structure', 'The profile allows only its own slices here.', item.at);
      continue;
    }
    if (slicing.ordered && position < last)
      tell(check, 'structure', 'The slices are not in the order of the profile.', item.at);
    last = Math.max(last, position);
    members.get(slice)?.push(item);
  }
  for (const [slice, own] of members) {
    count(slice, own.length, at, check);
    for (const item of own) checkItem(slice, item, check);
    if (slice.slices.length > 0) checkSlices({ ...slice, slicing: slice.slicing ?? slicing }, own, at, check);
  }
}

const BY_URL = { discriminators: [{ type: 'value', path: 'url' }], rules: 'open', ordered: false } as const;
const BY_TYPE = { discriminators: [{ type: 'type', path: '$this' }], rules: 'open', ordered: false } as const;
/** A differential may leave out what is always so. */
const DEFAULT_SLICING: Readonly<Record<string, typeof BY_URL>> = {
  extension: BY_URL,
  modifierExtension: BY_URL,
};

function checkTypes(rule: Rule, item: Item, check: Check): void {
  if (!rule.types) return;
  const type = rule.types.get(item.type);
  if (!type) {
    // Resource stands for every resource; a plain element keeps the one type it has.
    if (rule.types.has('Resource') || rule.types.size === 0 || !rule.name.endsWith('[x]')) return;
    return void tell(check, 'structure', 'The profile does not allow this type of value.', item.at);
  }
  if (item.type === 'Reference') return void checkTarget(type.targets, item, check);
  const known = type.profiles.flatMap((url) => check.find(url) ?? []);
  if (known.length === 0 || known.length < type.profiles.length) return;
  if (known.length === 1) return void checkRoot(item, known[0] as Profile, check);
  if (!known.some((profile) => conforms(item, profile.url, check)))
    tell(check, 'structure', 'The value conforms to none of the profiles that are allowed here.', item.at);
}

/** A reference names its target's type; whether the target has the profile is known only inside the document. */
function checkTarget(targets: readonly string[], item: Item, check: Check): void {
  const { reference } = item.element as { reference?: unknown };
  if (targets.length === 0 || typeof reference !== 'string') return;
  const types = targets.map((url) => check.find(url)?.type ?? plainType(url));
  if (types.some((type) => type === null || type === 'Resource')) return;
  const type =
    resolve(reference, check.resource)?.type ??
    /^([A-Z][A-Za-z]+)\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/[^/]+)?$/.exec(reference)?.[1];
  if (type !== undefined && !types.includes(type))
    tell(check, 'value', 'The profile does not allow a reference to this type.', `${item.at}.reference`);
}

const CORE = 'http://hl7.org/fhir/StructureDefinition/';

const plainType = (url: string): string | null => (url.startsWith(CORE) ? url.slice(CORE.length) : null);

function conforms(item: Item, canonical: string, check: Check): boolean {
  const profile = check.find(canonical);
  if (!profile) return plainType(canonical) === item.type;
  if (profile.type !== item.type) return false;
  const inner: Check = { ...check, issues: [] };
  checkRoot(item, profile, inner);
  return !inner.issues.some((issue) => issue.severity === 'error');
}

function checkInvariants(rule: Rule, item: Item, check: Check): void {
  if (rule.invariants.length === 0 || item.value === undefined) return;
  const scope: InvariantScope = { resource: check.resource, root: check.resource };
  const context = contextOf(rule, item);
  for (const invariant of rule.invariants) {
    if (!invariant.holds(item.value, context, scope))
      tell(
        check,
        'invariant',
        `${invariant.key}: ${invariant.human}`.slice(0, 300),
        item.at,
        invariant.severity,
      );
  }
}

/** The engine knows the types of R4 by their name, and those inside others by their path. */
const contextOf = (rule: Rule, item: Item): string => (typeNode(item.type)?.inner ? rule.path : item.type);

/** `#id` names a contained resource. */
function resolve(reference: string, resource: JsonObject): Item | null {
  const { contained } = resource;
  if (!reference.startsWith('#') || !Array.isArray(contained)) return null;
  const at = (contained as JsonObject[]).findIndex((one) => one?.['id'] === reference.slice(1));
  const found = (contained as JsonObject[])[at];
  if (!found) return null;
  return { value: found, type: String(found['resourceType']), element: found, at: `contained[${at}]` };
}
