import type {
  ValueSet,
  ValueSetComposeInclude,
  ValueSetComposeIncludeConcept,
  ValueSetExpansionContains,
} from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { CodeSystemView } from '../systems/code-system-view.ts';
import { ListedCodes } from '../systems/listed-codes.ts';
import { ConceptSet } from './concept-set.ts';
import { selectByFilters } from './select-concepts.ts';

/** The concepts of a value set: of each code system that it draws on, those that are in it. */
export type Selection = ReadonlyMap<CodeSystemView, ConceptSet>;

/** Where value sets and code systems come from; canonical URLs with or without `|version`. */
export interface ComposeSources {
  codeSystem(canonical: string): Promise<CodeSystemView | null>;
  valueSet(canonical: string): Promise<ValueSet | null>;
}

/** Value sets that may take part in one, each composed once: their number bounds the work. */
export const VALUE_SETS_MAX = 100;
/** Codes listed one by one in all of them together. */
export const LISTED_CODES_MAX = 200_000;

/**
 * Puts value sets together (R4 valueset.html#compositions): the includes joined, less the excludes; within an include, what is in the code
 * system's selection and in every value set named. One composer per request: it keeps what it has found.
 *
 * @throws Failure `terminology.unknown` for a code system or value set that is not here, `terminology.unsupported` for a filter,
 *   `terminology.too-costly`, `fhir.invalid` for a value set that includes itself
 */
export class ValueSetComposer {
  /** Names that a value set gives to concepts in place of the code system's. */
  readonly displays = new Map<CodeSystemView, Map<number, ValueSetComposeIncludeConcept>>();
  /** Code systems that are here in part only and were not listed code by code: of what they lack nobody can say whether it is in. */
  readonly inPart = new Set<string>();
  private readonly views = new Map<string, Promise<CodeSystemView | null>>();
  private readonly listed = new Map<string, ListedCodes>();
  private readonly composed = new Map<string, Selection>();
  private readonly open = new Set<string>();
  private listedCodes = 0;

  constructor(private readonly sources: ComposeSources) {}

  async compose(valueSet: ValueSet): Promise<Selection> {
    if (!valueSet.compose) return this.ofExpansion(valueSet.expansion?.contains ?? []);
    const { include, exclude, inactive } = valueSet.compose;
    let selection: Selection = new Map();
    for (const one of include ?? []) selection = joined(selection, await this.include(one));
    for (const one of exclude ?? []) selection = less(selection, await this.include(one));
    return inactive === false ? withoutInactive(selection) : selection;
  }

  /** The view of a code system; each is looked up once. */
  view(system: string, version: string | undefined): Promise<CodeSystemView | null> {
    const canonical = version ? `${system}|${version}` : system;
    const found = this.views.get(canonical) ?? this.sources.codeSystem(canonical);
    this.views.set(canonical, found);
    return found;
  }

  private async include(include: ValueSetComposeInclude): Promise<Selection> {
    const parts: Selection[] = [];
    if (include.system) parts.push(await this.fromSystem(include, include.system));
    for (const url of include.valueSet ?? []) parts.push(await this.imported(url));
    const [first, ...others] = parts;
    if (!first) throw new Failure('fhir.invalid', 'An include names neither a system nor a valueSet.');
    return others.reduce(common, first);
  }

  private async imported(url: string): Promise<Selection> {
    const known = this.composed.get(url);
    if (known) return known;
    if (this.open.has(url))
      throw new Failure('fhir.invalid', 'The value set includes itself, by itself or by others.');
    if (this.open.size + this.composed.size >= VALUE_SETS_MAX)
      throw tooCostly(`More than ${VALUE_SETS_MAX} value sets take part. Ask for a smaller one.`);
    const valueSet = await this.sources.valueSet(url);
    if (!valueSet) throw new Failure('terminology.unknown', 'A value set that is included is not here.');
    this.open.add(url);
    const selection = await this.compose(valueSet);
    this.open.delete(url);
    this.composed.set(url, selection);
    return selection;
  }

  private async fromSystem(include: ValueSetComposeInclude, system: string): Promise<Selection> {
    const { concept, filter, version } = include;
    if (concept && filter)
      throw new Failure('fhir.invalid', 'An include has concepts or filters, not both (vsd-3).');
    const view = await this.view(system, version);
    if (concept) return this.list(view, system, version, concept);
    if (!view)
      throw new Failure(
        'terminology.unknown',
        'A code system is not here, so its concepts cannot be selected. Import it, or list the codes.',
      );
    if (!view.complete) this.inPart.add(view.url);
    return new Map([[view, filter ? await selectByFilters(view, filter) : ConceptSet.all(view.size)]]);
  }

  /** Codes listed one by one: those the code system has; where it is not here or holds a part only, all of them. */
  private async list(
    view: CodeSystemView | null,
    system: string,
    version: string | undefined,
    concepts: readonly ValueSetComposeIncludeConcept[],
  ): Promise<Selection> {
    this.listedCodes += concepts.length;
    if (this.listedCodes > LISTED_CODES_MAX)
      throw tooCostly(
        `More than ${LISTED_CODES_MAX} codes are listed. Import the code system and use filters.`,
      );
    const selection = new Map<CodeSystemView, ConceptSet>();
    const found = view ? await view.find(concepts.map(({ code }) => code ?? '')) : new Map();
    if (view) {
      const known = concepts.flatMap((one) => {
        const concept = found.get(one.code ?? '');
        if (concept) this.rename(view, concept.id, one);
        return concept ? [concept.id as number] : [];
      });
      selection.set(view, ConceptSet.of(view.size, known));
      if (view.complete) return selection;
    }
    const others = concepts.filter(({ code }) => !found.has(code ?? ''));
    if (others.length === 0) return selection;
    const codes = this.listOf(system, version);
    const ids = codes.list(others);
    return selection.set(codes, ConceptSet.of(codes.size, ids));
  }

  private rename(view: CodeSystemView, id: number, concept: ValueSetComposeIncludeConcept): void {
    if (!concept.display && !concept.designation) return;
    const ofView = this.displays.get(view) ?? new Map();
    this.displays.set(view, ofView);
    if (!ofView.has(id)) ofView.set(id, concept);
  }

  private listOf(system: string, version: string | undefined): ListedCodes {
    const key = `${system}|${version ?? ''}`;
    const codes = this.listed.get(key) ?? new ListedCodes(system, version ?? null);
    this.listed.set(key, codes);
    return codes;
  }

  /** A value set without a definition, only with an expansion made elsewhere. */
  private async ofExpansion(contains: readonly ValueSetExpansionContains[]): Promise<Selection> {
    const bySystem = new Map<
      string,
      { system: string; version?: string; concepts: ValueSetComposeIncludeConcept[] }
    >();
    for (const { system, version, abstract, code, display, designation } of flat(contains)) {
      if (!system || !code || abstract) continue;
      const key = `${system}|${version ?? ''}`;
      const group = bySystem.get(key) ?? { system, ...(version ? { version } : {}), concepts: [] };
      bySystem.set(key, group);
      group.concepts.push({ code, ...(display ? { display } : {}), ...(designation ? { designation } : {}) });
    }
    let selection: Selection = new Map();
    for (const { system, version, concepts } of bySystem.values())
      selection = joined(
        selection,
        await this.list(await this.view(system, version), system, version, concepts),
      );
    return selection;
  }
}

const flat = (contains: readonly ValueSetExpansionContains[]): ValueSetExpansionContains[] =>
  contains.flatMap((one) => [one, ...flat(one.contains ?? [])]);

/** R4 valueset-operation-expand.html: an expansion that is too large is refused as `too-costly`. */
export function tooCostly(text: string): Failure {
  return new Failure('terminology.too-costly', text, { issues: [{ text, type: 'too-costly' }] });
}

function joined(a: Selection, b: Selection): Selection {
  const result = new Map(a);
  for (const [view, set] of b) result.set(view, result.get(view)?.union(set) ?? set);
  return result;
}

function less(a: Selection, b: Selection): Selection {
  return new Map(
    [...a].map(([view, set]) => [view, b.has(view) ? set.without(b.get(view) as ConceptSet) : set]),
  );
}

function common(a: Selection, b: Selection): Selection {
  return new Map(
    [...a].flatMap(([view, set]) => {
      const other = b.get(view);
      return other ? [[view, set.intersection(other)] as const] : [];
    }),
  );
}

export async function withoutInactive(selection: Selection): Promise<Selection> {
  const kept = new Map<CodeSystemView, ConceptSet>();
  for (const [view, set] of selection) kept.set(view, set.without(await view.inactive()));
  return kept;
}
