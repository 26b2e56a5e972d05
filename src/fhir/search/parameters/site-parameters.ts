import type { PublishedParameter } from '../../definitions/definitions.ts';

/** A SearchParameter of the site's own, as this process knows it now. */
export interface SiteParameter {
  readonly definition: PublishedParameter & { readonly expression: string };
  /** All stored resources are indexed: it may be searched. Before that it is only indexed. */
  readonly active: boolean;
}

/**
 * The site's own parameters of this process, for all types. Kept beside the definitions, and like them for the whole process: every
 * write must index by the same list. `SiteParameterWatch` brings it up to date from the database.
 */
let known: readonly SiteParameter[] = [];
let stamps = new Map<string, number>();
let changes = 0;

export function setSiteParameters(parameters: readonly SiteParameter[]): void {
  const before = known;
  known = parameters;
  changes += 1;
  const types = [...before, ...parameters].flatMap(({ definition }) => definition.base);
  stamps = new Map([...stamps, ...types.map((type) => [type, changes] as const)]);
}

export const siteParametersOf = (
  type: string,
): { code: string; definition: SiteParameter['definition']; active: boolean }[] =>
  known
    .filter(({ definition }) => definition.base.includes(type))
    .map((parameter) => ({ ...parameter, code: parameter.definition.code }));

/** Grows whenever any of them may have changed. */
export const siteParameterChanges = (): number => changes;

/** Grows whenever the type's own parameters may have changed. */
export const siteParametersStamp = (type: string): number => stamps.get(type) ?? 0;
