import type { JsonObject } from '../validate/invariant.ts';
import { type Item, itemsOf } from './items.ts';
import { matchesPattern, sameValue } from './match-value.ts';
import type { Binding, FindProfile, Rule, Slicing } from './rule.ts';

/** What deciding on a slice may need beyond the value: other profiles, and whether a value conforms to one. */
export interface SliceScope {
  readonly find: FindProfile;
  conforms(item: Item, profile: string): boolean;
  /** Is a code of the item in the value set? What cannot be told is no. */
  isBound(item: Item, binding: Binding): boolean;
  /** What a reference points to inside the same document; null when that is not known. */
  resolve(reference: string): Item | null;
}

/**
 * R4 profiling.html#discriminator: does the item belong to the slice? All discriminators must say so. One that cannot be decided (the slice says
 * nothing at its path) says no.
 */
export function inSlice(item: Item, slice: Rule, slicing: Slicing, scope: SliceScope): boolean {
  return (
    slicing.discriminators.length > 0 &&
    slicing.discriminators.every(({ type, path }) => {
      const steps = stepsOf(path);
      const values = steps.reduce<Item[]>(
        (items, step) => items.flatMap((one) => go(one, step, scope)),
        [item],
      );
      return decide(type, values, slice, steps, scope);
    })
  );
}

function decide(
  type: string,
  values: readonly Item[],
  slice: Rule,
  steps: readonly string[],
  scope: SliceScope,
): boolean {
  const rules = rulesAt(slice, steps, scope);
  switch (type) {
    case 'exists': {
      const wanted = rules.some((rule) => rule.max === 0) ? 0 : 1;
      return wanted === 0 ? values.length === 0 : values.length > 0;
    }
    case 'type': {
      const types =
        steps.at(-1) === 'resolve()'
          ? targetTypes(rules, scope)
          : rules.flatMap((rule) => [...(rule.types?.keys() ?? [])]);
      return values.some((value) => types.includes(value.type));
    }
    case 'profile': {
      const profiles = rules.flatMap((rule) =>
        [...(rule.types?.values() ?? [])].flatMap((one) => [...one.profiles, ...one.targets]),
      );
      return values.some((value) => profiles.some((profile) => scope.conforms(value, profile)));
    }
    default: {
      const expected = expectationOf(slice, steps, scope);
      return expected !== null && values.some((value) => expected(value));
    }
  }
}

/** `value.ofType(Quantity).code` → steps; the functions R4 allows here are one step each. */
function stepsOf(path: string): string[] {
  return (path.match(/extension\('[^']*'\)|ofType\([^)]*\)|resolve\(\)|\$this|[^.]+/g) ?? []).filter(
    (step) => step !== '$this',
  );
}

function go(item: Item, step: string, scope: SliceScope): Item[] {
  if (step === 'resolve()') {
    const { reference } = item.element as { reference?: unknown };
    if (typeof reference !== 'string') return [];
    const found = scope.resolve(reference);
    if (found) return [found];
    // The type at least is in the reference itself.
    const type = /(?:^|\/)([A-Z][A-Za-z]+)\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/[^/]+)?$/.exec(reference)?.[1];
    return type ? [{ value: {}, type, element: {}, at: item.at }] : [];
  }
  const ofType = /^ofType\((?:FHIR\.)?([^)]*)\)$/.exec(step)?.[1];
  if (ofType !== undefined) return item.type === ofType ? [item] : [];
  const url = /^extension\('([^']*)'\)$/.exec(step)?.[1];
  if (url !== undefined)
    return itemsOf(item, 'extension').filter((extension) => extension.element['url'] === url);
  const plain = itemsOf(item, step);
  return plain.length > 0 ? plain : itemsOf(item, `${step}[x]`);
}

/** The rules of the slice at a path, with those of the profiles its types name. */
function rulesAt(slice: Rule, steps: readonly string[], scope: SliceScope): Rule[] {
  let rules: Rule[] = [slice];
  for (const step of steps) {
    if (step === 'resolve()') continue;
    rules = rules.flatMap((rule) => withProfiles(rule, scope)).flatMap((rule) => childrenOf(rule, step));
  }
  return rules;
}

function withProfiles(rule: Rule, scope: SliceScope): Rule[] {
  const profiles = [...(rule.types?.values() ?? [])].flatMap((type) => type.profiles);
  return [rule, ...profiles.flatMap((profile) => scope.find(profile)?.root ?? [])];
}

function childrenOf(rule: Rule, step: string): Rule[] {
  if (step.startsWith('ofType(')) return [rule];
  const name = step.startsWith('extension(') ? 'extension' : step;
  const child = rule.children.get(name) ?? rule.children.get(`${name}[x]`);
  const typed = [...rule.children.values()].find(
    (one) => one.name.startsWith(name) && /^[A-Z]/.test(one.name.slice(name.length)),
  );
  const found = child ?? typed;
  // A list inside the slice may be sliced itself: what its required slices say, the item must have.
  return found ? [found, ...found.slices.filter((one) => (one.min ?? 0) > 0)] : [];
}

const targetTypes = (rules: readonly Rule[], { find }: SliceScope): string[] =>
  rules
    .flatMap((rule) => [...(rule.types?.values() ?? [])].flatMap((type) => type.targets))
    .map((url) => find(url)?.type ?? url.slice(url.lastIndexOf('/') + 1));

type Expectation = (item: Item) => boolean;

/** What the slice wants at the path: a fixed value or pattern there or above it, a required value set, or the URL of an extension. */
function expectationOf(slice: Rule, steps: readonly string[], scope: SliceScope): Expectation | null {
  if (steps.length === 1 && steps[0] === 'url') {
    const url = extensionUrl(slice, scope);
    if (url !== null) return (item) => item.value === url;
  }
  for (let depth = 0; depth <= steps.length; depth++) {
    for (const rule of rulesAt(slice, steps.slice(0, depth), scope)) {
      const rest = steps.slice(depth);
      if (rule.fixed !== undefined) {
        const fixed = valuesIn(rule.fixed, rest);
        if (fixed.length > 0) return (item) => fixed.some((one) => sameValue(item.value, one));
      }
      if (rule.pattern !== undefined) {
        const patterns = valuesIn(rule.pattern, rest);
        if (patterns.length > 0) return (item) => patterns.some((one) => matchesPattern(item.value, one));
      }
      if (rest.length === 0 && rule.binding?.strength === 'required') {
        const { binding } = rule;
        return (item) => hasCode(item.value) && scope.isBound(item, binding);
      }
    }
  }
  return null;
}

const hasCode = (value: unknown): boolean =>
  typeof value === 'string' ||
  (typeof value === 'object' && value !== null && ('coding' in value || 'code' in value));

function valuesIn(value: unknown, steps: readonly string[]): unknown[] {
  let values: unknown[] = [value];
  for (const step of steps) {
    values = values
      .flatMap((one) => (Array.isArray(one) ? one : [one]))
      .flatMap((one) => {
        const inner =
          typeof one === 'object' && one !== null && Object.hasOwn(one, step)
            ? (one as JsonObject)[step]
            : undefined;
        return inner === undefined ? [] : [inner];
      });
  }
  return values.flatMap((one) => (Array.isArray(one) ? one : [one]));
}

/** A slice of extensions is told by the URL its profile fixes; the definition need not be known for that. */
function extensionUrl(slice: Rule, { find }: SliceScope): string | null {
  if (slice.name !== 'extension' && slice.name !== 'modifierExtension') return null;
  const profile = [...(slice.types?.values() ?? [])].flatMap((type) => type.profiles)[0];
  if (profile === undefined) return null;
  const fixed = find(profile)?.root.children.get('url')?.fixed;
  return typeof fixed === 'string' ? fixed : profile.replace(/\|.*$/, '');
}
