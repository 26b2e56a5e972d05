import type { ElementDefinition, StructureDefinition } from '@medplum/fhirtypes';
import type { RequiredSet } from '../definitions/definitions.ts';
import { byFhirpath } from '../validate/compile-invariant.ts';
import { typeNode } from '../validate/type-node.ts';
import { cloneRule, type FindProfile, newRule, type Profile, type Rule, type TypeRule } from './rule.ts';
import { maxValueSetOf } from './trim-definition.ts';

export interface ProfileSources {
  readonly find: FindProfile;
  /** The members of a value set that is known here; null when it is not. */
  readonly valueSet: (canonical: string) => RequiredSet | null;
  /** May its invariants use any function? Not those of a definition that came over FHIR. */
  readonly trusted: boolean;
}

/**
 * A StructureDefinition as a tree of rules. From its snapshot where it has one, without what the base definition demands anyway; else its
 * differential laid over the rules of the profile it derives from. Null when it is no profile of a type of R4.
 */
export function compileProfile(definition: StructureDefinition, sources: ProfileSources): Profile | null {
  const { type, url } = definition;
  if (!url || !typeNode(type) || definition.derivation === 'specialization') return null;
  const snapshot = definition.snapshot?.element;
  const base = snapshot ? null : sources.find(definition.baseDefinition ?? '');
  const root = base ? cloneRule(base.root) : newRule(type, type);
  const unevaluated: string[] = [...(base?.unevaluated ?? [])];
  const ids = new Map<string, string>();
  for (const element of snapshot ?? definition.differential?.element ?? []) {
    const rule = ruleAt(root, idOf(element, ids));
    apply(element, rule, type, sources, unevaluated);
  }
  prune(root);
  return { url, version: definition.version ?? null, type, root, unevaluated };
}

/** ElementDefinition.id, or what it would be: the id of the parent last seen, and the name of the slice. */
function idOf(element: ElementDefinition, lastIds: Map<string, string>): string {
  const path = element.path ?? '';
  const cut = path.lastIndexOf('.');
  const parent = cut === -1 ? '' : `${lastIds.get(path.slice(0, cut)) ?? path.slice(0, cut)}.`;
  const slice = element.sliceName ? `:${element.sliceName}` : '';
  const id = element.id?.includes('.') ? element.id : `${parent}${path.slice(cut + 1)}${slice}`;
  lastIds.set(path, id);
  return id;
}

/** Goes down `Observation.component:systolic.value[x]`, making rules on the way. */
function ruleAt(root: Rule, id: string): Rule {
  let rule = root;
  for (const segment of id.split('.').slice(1)) {
    const [name = '', slice] = split(segment, ':');
    let child = rule.children.get(name);
    if (!child) {
      child = newRule(name, `${rule.path}.${name}`);
      rule.children.set(name, child);
    }
    rule = child;
    // `a/b` is a slice b within slice a.
    for (const part of slice ? slice.split('/') : []) {
      let of = rule.slices.find((one) => one.slice === part);
      if (!of) {
        of = newRule(rule.name, rule.path, part);
        rule.slices.push(of);
      }
      rule = of;
    }
  }
  return rule;
}

function split(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function apply(
  element: ElementDefinition,
  rule: Rule,
  root: string,
  sources: ProfileSources,
  unevaluated: string[],
): void {
  const { base } = element;
  const sliced = rule.slice !== null;
  // ElementDefinition.base is the base definition's own cardinality: what equals it demands nothing new.
  if (element.min !== undefined && (sliced || element.min !== base?.min)) rule.min = element.min;
  if (element.max !== undefined && (sliced || element.max !== base?.max))
    rule.max = element.max === '*' ? Number.POSITIVE_INFINITY : Number(element.max);
  if (element.type && rule.path !== root) rule.types = typesOf(element.type, rule.types);
  for (const [key, value] of Object.entries(element)) {
    if (key.startsWith('fixed')) rule.fixed = value;
    if (key.startsWith('pattern')) rule.pattern = value;
  }
  if (element.maxLength !== undefined) rule.maxLength = element.maxLength;
  bind(element, rule, sources);
  if (element.slicing) {
    rule.slicing = {
      discriminators: (element.slicing.discriminator ?? []).map(({ type, path }) => ({
        type: type ?? 'value',
        path: path ?? '$this',
      })),
      rules: element.slicing.rules ?? 'open',
      ordered: element.slicing.ordered ?? false,
    };
  }
  addInvariants(element, rule, sources, unevaluated);
}

function bind({ binding }: ElementDefinition, rule: Rule, sources: ProfileSources): void {
  const { strength, valueSet } = binding ?? {};
  const outermost = maxValueSetOf(binding);
  if (outermost && strength !== 'required')
    rule.outermost = { strength: 'required', valueSet: outermost, set: sources.valueSet(outermost) };
  if (!valueSet || (strength !== 'required' && strength !== 'extensible')) return;
  rule.binding = { strength, valueSet, set: sources.valueSet(valueSet) };
}

function typesOf(
  types: NonNullable<ElementDefinition['type']>,
  inherited: ReadonlyMap<string, TypeRule> | undefined,
): Map<string, TypeRule> {
  return new Map(
    types.map(({ code = '', profile, targetProfile }) => {
      const name = code.startsWith(SYSTEM) ? code.slice(SYSTEM.length).toLowerCase() : code;
      const before = inherited?.get(name);
      return [
        name,
        {
          profiles: profile ?? before?.profiles ?? [],
          targets: targetProfile ?? before?.targets ?? [],
        },
      ];
    }),
  );
}

const SYSTEM = 'http://hl7.org/fhirpath/System.';

function addInvariants(
  element: ElementDefinition,
  rule: Rule,
  { trusted }: ProfileSources,
  unevaluated: string[],
): void {
  for (const { key = '', expression, source, human, severity } of element.constraint ?? []) {
    const own = source === undefined ? !OF_THE_BASE.test(key) : !isBase(source);
    if (!expression || !own || rule.invariants.some((one) => one.key === key)) continue;
    if (baseKeys(rule.path).has(key)) continue;
    if (!trusted && !isSafe(expression)) {
      unevaluated.push(key);
      continue;
    }
    rule.invariants.push({
      key,
      human: human ?? '',
      severity: severity === 'warning' ? 'warning' : 'error',
      holds: byFhirpath(expression),
    });
  }
}

const OF_THE_BASE = /^(?:ele|ext|dom)-\d+$/;
const BASE = 'http://hl7.org/fhir/StructureDefinition/';

const isBase = (source: string): boolean =>
  (source.startsWith(BASE) && typeNode(source.slice(BASE.length)) !== undefined) ||
  typeNode(source) !== undefined;

const baseKeys = (path: string): ReadonlySet<string> =>
  new Set(path.includes('.') ? [] : typeNode(path)?.invariants.map((one) => one.key));

export const EXPRESSION_CHARACTERS_MAX = 500;
export const EXPRESSION_DEPTH_MAX = 20;
/** They can run for minutes on a short text, or walk far: nothing that comes over FHIR may call them. */
const RUNAWAY =
  /\b(?:matches|matchesFull|replaceMatches|repeat|repeatAll|descendants|resolve|trace|aggregate|combine|union|select|memberOf|conformsTo)\s*\(/;

function isSafe(expression: string): boolean {
  if (expression.length > EXPRESSION_CHARACTERS_MAX || RUNAWAY.test(expression)) return false;
  let depth = 0;
  for (const c of expression) {
    if (c === '(') depth++;
    if (c === ')') depth--;
    if (depth > EXPRESSION_DEPTH_MAX) return false;
  }
  return true;
}

/** Drops what demands nothing. True: the rule itself can go. */
function prune(rule: Rule): boolean {
  for (const [name, child] of rule.children) if (prune(child)) rule.children.delete(name);
  for (const slice of rule.slices) prune(slice);
  if (rule.types && !narrows(rule)) delete rule.types;
  return (
    rule.children.size === 0 &&
    rule.slices.length === 0 &&
    rule.invariants.length === 0 &&
    rule.slicing === undefined &&
    rule.min === undefined &&
    rule.max === undefined &&
    rule.types === undefined &&
    rule.fixed === undefined &&
    rule.pattern === undefined &&
    rule.binding === undefined &&
    rule.outermost === undefined &&
    rule.maxLength === undefined
  );
}

/** Do the types leave out one the base definition has, or name profiles? */
function narrows(rule: Rule): boolean {
  const types = rule.types as Map<string, TypeRule>;
  for (const { profiles, targets } of types.values()) {
    if (profiles.length > 0 || targets.some((url) => !url.endsWith('/Resource'))) return true;
  }
  return rule.name.endsWith('[x]') || rule.slice !== null;
}
