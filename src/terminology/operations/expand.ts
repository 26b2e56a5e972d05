import type { ValueSet, ValueSetExpansionContains, ValueSetExpansionParameter } from '@medplum/fhirtypes';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { stableId } from '../../kernel/stable-id.ts';
import { type Selection, tooCostly, ValueSetComposer, withoutInactive } from '../sets/compose-value-set.ts';
import type { ConceptSet } from '../sets/concept-set.ts';
import { askedWords } from '../sets/words.ts';
import type { CodeSystemView, Concept, Designation } from '../systems/code-system-view.ts';
import { splitCanonical, type TerminologySources } from '../terminology-sources.ts';
import { askedValueSet } from './asked-value-set.ts';
import { displayIn } from './displays.ts';
import { OperationParameters } from './operation-parameters.ts';

export const KNOWN = [
  'url',
  'valueSet',
  'valueSetVersion',
  'filter',
  'offset',
  'count',
  'includeDesignations',
  'includeDefinition',
  'activeOnly',
  'excludeNested',
  'excludeNotForUI',
  'excludePostCoordinated',
  'displayLanguage',
  'exclude-system',
  'system-version',
] as const;

/** Concepts of one answer, some 150 KB. A larger value set is read in pages; without `count` it is refused. */
export const EXPANSION_CONCEPTS_MAX = 1_000;

/**
 * R4 valueset-operation-expand.html. The answer is flat. With `filter` it has the concepts with a name in which every word asked for begins a
 * word; concepts of imported code systems come with the shortest names first.
 */
export async function expand(
  request: OperationRequest,
  sources: TerminologySources,
  now: () => Date,
): Promise<ValueSet> {
  const parameters = new OperationParameters(request);
  const valueSet = await askedValueSet(parameters, request, sources);
  const versions = new Map(parameters.texts('system-version').map(splitCanonical));
  const composer = new ValueSetComposer({
    codeSystem: (canonical) => {
      const version = canonical.includes('|') ? undefined : versions.get(canonical);
      return sources.codeSystem(version ? `${canonical}|${version}` : canonical, request.access);
    },
    valueSet: (url) => sources.valueSet(url, request.access),
  });
  const selection = await narrowed(await composer.compose(valueSet), parameters);
  const total = [...selection.values()].reduce((sum, set) => sum + set.count(), 0);
  const [offset, count] = [parameters.count('offset') ?? 0, parameters.count('count')];
  if (count === undefined && total - offset > EXPANSION_CONCEPTS_MAX)
    throw tooCostly(
      `The value set has ${total} concepts. Ask for pages with count (${EXPANSION_CONCEPTS_MAX} at most) and offset, or for less with filter.`,
    );
  const limit = Math.min(count ?? EXPANSION_CONCEPTS_MAX, EXPANSION_CONCEPTS_MAX);
  const contains = await page(selection, composer, parameters, offset, limit);
  const asked = toExpansionParameters(parameters, selection);
  return headOf(valueSet, parameters.flag('includeDefinition') ?? false, {
    identifier: `urn:uuid:${stableId(valueSet.url ?? valueSet.id ?? '', JSON.stringify(asked), now().toISOString())}`,
    timestamp: now().toISOString(),
    total,
    offset,
    ...(asked.length > 0 ? { parameter: asked } : {}),
    ...(contains.length > 0 ? { contains } : {}),
  });
}

/** By text, state and system, as the parameters say. */
async function narrowed(selection: Selection, parameters: OperationParameters): Promise<Selection> {
  const words = askedWords(parameters.text('filter') ?? '');
  const excluded = parameters.texts('exclude-system').map(splitCanonical);
  const kept = new Map<CodeSystemView, ConceptSet>();
  for (const [view, set] of selection) {
    if (excluded.some(([url, version]) => url === view.url && (version === null || version === view.version)))
      continue;
    let left = set;
    if (parameters.flag('excludeNotForUI')) left = left.without(await view.abstract());
    if (words.length > 0) left = left.intersection(await view.matching(words));
    // A filter without a single letter or digit finds nothing, rather than everything.
    else if (parameters.has('filter')) left = left.without(left);
    kept.set(view, left);
  }
  return parameters.flag('activeOnly') ? withoutInactive(kept) : kept;
}

async function page(
  selection: Selection,
  composer: ValueSetComposer,
  parameters: OperationParameters,
  offset: number,
  limit: number,
): Promise<ValueSetExpansionContains[]> {
  const contains: ValueSetExpansionContains[] = [];
  let skip = offset;
  for (const [view, set] of selection) {
    if (contains.length === limit) break;
    const ids = set.slice(skip, limit - contains.length);
    skip = ids.length > 0 ? 0 : Math.max(0, skip - set.count());
    if (ids.length > 0) contains.push(...(await entries(view, ids, composer, parameters)));
  }
  return contains;
}

async function entries(
  view: CodeSystemView,
  ids: readonly number[],
  composer: ValueSetComposer,
  parameters: OperationParameters,
): Promise<ValueSetExpansionContains[]> {
  const language = parameters.text('displayLanguage');
  const includeDesignations = parameters.flag('includeDesignations') ?? false;
  const [concepts, designations] = await Promise.all([
    view.read(ids),
    includeDesignations || language !== undefined
      ? view.designations(ids)
      : new Map<number, readonly Designation[]>(),
  ]);
  const renamed = composer.displays.get(view);
  return concepts.map((concept) => {
    const names = designations.get(concept.id) ?? [];
    const listed = renamed?.get(concept.id);
    const display = language === undefined ? listed?.display : undefined;
    const own = (listed?.designation ?? []).map(({ language, use, value }) => ({
      language: language ?? null,
      use: use ?? null,
      value: value ?? '',
    }));
    const all = [...own, ...names];
    return toContains(
      view,
      concept,
      display ?? displayIn(concept, all, language),
      includeDesignations ? all : [],
    );
  });
}

function toContains(
  view: CodeSystemView,
  concept: Concept,
  display: string,
  designations: readonly Designation[],
): ValueSetExpansionContains {
  return {
    system: view.url,
    ...(concept.abstract ? { abstract: true } : {}),
    ...(concept.inactive ? { inactive: true } : {}),
    ...(view.version === null ? {} : { version: view.version }),
    code: concept.code,
    display,
    ...(designations.length > 0
      ? {
          designation: designations.map(({ language, use, value }) => ({
            ...(language ? { language } : {}),
            ...(use ? { use } : {}),
            value,
          })),
        }
      : {}),
  };
}

/** What the answer depends on: the parameters given, and the versions used (R4 ValueSet.expansion.parameter). */
function toExpansionParameters(
  parameters: OperationParameters,
  selection: Selection,
): ValueSetExpansionParameter[] {
  const texts = ['filter', 'displayLanguage', 'exclude-system', 'system-version'] as const;
  const flags = ['includeDesignations', 'activeOnly', 'excludeNotForUI'] as const;
  const used = [...selection.keys()].filter(({ version }) => version !== null);
  return [
    ...texts.flatMap((name) => parameters.texts(name).map((valueString) => ({ name, valueString }))),
    ...flags.flatMap((name) => {
      const valueBoolean = parameters.flag(name);
      return valueBoolean === undefined ? [] : [{ name, valueBoolean }];
    }),
    ...(parameters.has('count') ? [{ name: 'count', valueInteger: parameters.count('count') ?? 0 }] : []),
    ...used.map(({ url, version }) => ({ name: 'version', valueUri: `${url}|${version}` })),
  ];
}

/** The value set without what it was made of, unless asked for. */
function headOf(valueSet: ValueSet, withDefinition: boolean, expansion: ValueSet['expansion']): ValueSet {
  const { compose, text: _narrative, expansion: _old, ...head } = valueSet;
  return { ...head, ...(withDefinition && compose ? { compose } : {}), ...(expansion ? { expansion } : {}) };
}
