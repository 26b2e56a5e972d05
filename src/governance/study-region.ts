import { regionsInText, regionsOf, regionsOfCode } from './body-parts.ts';
import type { NearStudy } from './study-context.store.ts';

/** Regions that the body sites name; else those of the description. */
export function regionsOfStudy({
  series,
  description,
}: Pick<NearStudy, 'series' | 'description'>): ReadonlySet<string> {
  const stated = new Set(
    series.flatMap(({ bodySite, bodyText }) => [
      ...(bodySite ? regionsOfCode(bodySite) : []),
      ...(bodyText ? regionsOf(bodyText) : []),
    ]),
  );
  return stated.size > 0 || description === null ? stated : new Set(regionsInText(description));
}

/** Two studies that both say where they were made must have a region in common. One that does not say may be of any. */
export const sameRegion = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === 0 || b.size === 0 || [...a].some((region) => b.has(region));

/** A study as the store of contexts gives it. */
export const asNearStudy = (study: {
  readonly id?: string;
  readonly started?: string;
  readonly description?: string;
  readonly series?: readonly {
    readonly uid?: string;
    readonly bodySite?: { readonly code?: string; readonly display?: string };
    readonly laterality?: { readonly code?: string };
  }[];
}): NearStudy => ({
  id: study.id ?? '',
  started: study.started ?? '',
  description: study.description ?? null,
  series: (study.series ?? []).map((one) => ({
    ...(one.uid ? { uid: one.uid } : {}),
    ...(one.bodySite?.code ? { bodySite: one.bodySite.code } : {}),
    ...(one.bodySite?.display ? { bodyText: one.bodySite.display } : {}),
    ...(one.laterality?.code ? { laterality: one.laterality.code } : {}),
  })),
});
