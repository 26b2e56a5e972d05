export type PropertyMeaning = 'parent' | 'child' | 'inactive' | 'abstract' | 'status';

/** What a property says to every reader (R4 codesystem-concept-properties.html): by the end of its URI, or by its code where none is declared. */
export function meaningOf(code: string, uri: string | undefined): PropertyMeaning | undefined {
  return MEANINGS.get(uri?.replace(/^.*#/, '') ?? '') ?? MEANINGS.get(code);
}

const MEANINGS: ReadonlyMap<string, PropertyMeaning> = new Map([
  ['parent', 'parent'],
  ['subsumedBy', 'parent'],
  ['child', 'child'],
  ['inactive', 'inactive'],
  ['status', 'status'],
  ['notSelectable', 'abstract'],
  ['not-selectable', 'abstract'],
]);
