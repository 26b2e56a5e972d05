import type {
  Coding,
  ConceptMap,
  ConceptMapGroup,
  ConceptMapGroupElementTargetDependsOn,
} from '@medplum/fhirtypes';

export interface TranslationMatch {
  /** R4 concept-map-equivalence: how the target stands to the source. */
  readonly equivalence: string;
  readonly system?: string;
  readonly code?: string;
  readonly display?: string;
  /** URL of the map that says so. */
  readonly map?: string;
  readonly product: readonly ConceptMapGroupElementTargetDependsOn[];
}

/** What one map says of a code, and the map it names for codes it does not know. Pure. */
export function matchesIn(
  map: ConceptMap,
  coding: Coding,
  { targetSystem, reverse }: { targetSystem: string | undefined; reverse: boolean },
): { matches: TranslationMatch[]; otherMap: string | null } {
  const matches: TranslationMatch[] = [];
  let otherMap: string | null = null;
  for (const group of map.group ?? []) {
    const [from, to] = reverse ? [group.target, group.source] : [group.source, group.target];
    if (from !== coding.system || (targetSystem !== undefined && to !== targetSystem)) continue;
    const found = reverse ? backward(group, coding.code ?? '') : forward(group, coding.code ?? '');
    if (found.length === 0 && !reverse) {
      const { mode, code, display, url } = group.unmapped ?? {};
      if (mode === 'provided') found.push({ equivalence: 'equal', code: coding.code ?? '', product: [] });
      if (mode === 'fixed' && code)
        found.push({ equivalence: 'inexact', code, ...(display ? { display } : {}), product: [] });
      if (mode === 'other-map') otherMap ??= url ?? null;
    }
    const place = { ...(to ? { system: to } : {}), ...(map.url ? { map: map.url } : {}) };
    matches.push(...found.map((match) => ({ ...match, ...place })));
  }
  return { matches, otherMap };
}

function forward(group: ConceptMapGroup, code: string): TranslationMatch[] {
  const elements = (group.element ?? []).filter((element) => element.code === code);
  return elements
    .flatMap((element) => element.target ?? [])
    .map(({ equivalence, code: target, display, product }) => ({
      equivalence: equivalence ?? 'relatedto',
      ...(target === undefined ? {} : { code: target }),
      ...(display ? { display } : {}),
      product: product ?? [],
    }));
}

function backward(group: ConceptMapGroup, code: string): TranslationMatch[] {
  return (group.element ?? []).flatMap((element) =>
    (element.target ?? [])
      .filter((target) => target.code === code && element.code !== undefined)
      .map((target) => ({
        equivalence: TURNED[target.equivalence ?? ''] ?? target.equivalence ?? 'relatedto',
        ...(element.code === undefined ? {} : { code: element.code }),
        ...(element.display ? { display: element.display } : {}),
        product: [],
      })),
  );
}

/** What is wider seen from one side is narrower seen from the other. */
const TURNED: Readonly<Record<string, string>> = {
  wider: 'narrower',
  narrower: 'wider',
  subsumes: 'specializes',
  specializes: 'subsumes',
};
