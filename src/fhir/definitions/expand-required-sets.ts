import type {
  CodeSystem,
  CodeSystemConcept,
  StructureDefinition,
  ValueSet,
  ValueSetComposeInclude,
} from '@medplum/fhirtypes';

/** value set URL (no version) → system → its codes. */
export type RequiredSets = Record<string, Record<string, string[]>>;

/**
 * Expands every value set that a base definition binds as `required`. Sets whose codes are not in the package
 * (mime types, currencies, UCUM) are left out; then their values are not checked.
 */
export function expandRequiredSets(
  structures: readonly StructureDefinition[],
  terminology: readonly (ValueSet | CodeSystem)[],
): RequiredSets {
  const sets = new Map(
    terminology.filter((r) => r.resourceType === 'ValueSet').map((set) => [set.url ?? '', set]),
  );
  const systems = new Map(
    terminology.filter((r) => r.resourceType === 'CodeSystem').map((cs) => [cs.url ?? '', cs]),
  );
  const result: RequiredSets = {};
  for (const url of requiredUrls(structures)) {
    const codes = new Map<string, Set<string>>();
    if (expand(url, codes, { sets, systems }, 0)) {
      result[url] = Object.fromEntries([...codes].map(([system, set]) => [system, [...set]]));
    }
  }
  return result;
}

/** The codes of one value set: system → codes. Null when some of them are not in the terminology given. */
export function expandValueSet(
  url: string,
  terminology: readonly (ValueSet | CodeSystem)[],
): Record<string, string[]> | null {
  const of = <T extends ValueSet | CodeSystem>(type: T['resourceType']) =>
    new Map(
      terminology.filter((one) => one.resourceType === type).map((one) => [one.url ?? '', one as T] as const),
    );
  const codes: Codes = new Map();
  const sources = { sets: of<ValueSet>('ValueSet'), systems: of<CodeSystem>('CodeSystem') };
  if (!expand(withoutVersion(url), codes, sources, 0)) return null;
  return Object.fromEntries([...codes].map(([system, set]) => [system, [...set]]));
}

interface Sources {
  readonly sets: ReadonlyMap<string, ValueSet>;
  readonly systems: ReadonlyMap<string, CodeSystem>;
}

type Codes = Map<string, Set<string>>;

function requiredUrls(structures: readonly StructureDefinition[]): Set<string> {
  const urls = structures
    .flatMap((definition) => definition.snapshot?.element ?? [])
    .filter((element) => element.binding?.strength === 'required' && element.binding.valueSet)
    .map((element) => withoutVersion(element.binding?.valueSet ?? ''));
  return new Set(urls);
}

const withoutVersion = (url: string): string => url.replace(/\|.*$/, '');

/** Value sets may include each other; a loop ends here. */
const NESTED_SETS_MAX = 8;

function expand(url: string, into: Codes, from: Sources, depth: number): boolean {
  const compose = from.sets.get(url)?.compose;
  if (!compose || depth > NESTED_SETS_MAX) return false;
  if (!compose.include.every((include) => add(include, into, from, depth))) return false;
  const excluded: Codes = new Map();
  if (!(compose.exclude ?? []).every((exclude) => add(exclude, excluded, from, depth))) return false;
  for (const [system, codes] of excluded) {
    for (const code of codes) into.get(system)?.delete(code);
  }
  return true;
}

function add(include: ValueSetComposeInclude, into: Codes, from: Sources, depth: number): boolean {
  if (include.valueSet) {
    // A set and a system in one include mean their intersection, which no base definition uses.
    return (
      include.system === undefined &&
      include.valueSet.every((url) => expand(withoutVersion(url), into, from, depth + 1))
    );
  }
  const system = include.system ?? '';
  const codes = into.get(system) ?? new Set<string>();
  into.set(system, codes);
  if (include.concept) {
    for (const concept of include.concept) codes.add(concept.code ?? '');
    return true;
  }
  const source = from.systems.get(system);
  if (!source?.concept) return false;
  let concepts: readonly CodeSystemConcept[] | null = source.concept;
  for (const filter of include.filter ?? []) {
    concepts = concepts && filter.op === 'is-a' ? below(concepts, filter.value ?? '') : null;
  }
  if (concepts === null) return false;
  for (const concept of flat(concepts)) codes.add(concept.code ?? '');
  return true;
}

function flat(concepts: readonly CodeSystemConcept[]): CodeSystemConcept[] {
  return concepts.flatMap((concept) => [concept, ...flat(concept.concept ?? [])]);
}

/** `is-a`: the concept itself and everything under it. */
function below(concepts: readonly CodeSystemConcept[], code: string): CodeSystemConcept[] | null {
  const top = flat(concepts).find((concept) => concept.code === code);
  return top ? [top] : null;
}
