/**
 * What a site does with a model version. `shadow`: it runs and its record is written, but nothing leaves: no message to the RIS, no object
 * to the PACS. `pilot`: its results go out while the site watches it. `live`: the same, after its golden cases were run and a person
 * released it. `retired`: it takes no new study; what it wrote stays.
 */
export type ModelState = 'shadow' | 'pilot' | 'live' | 'retired';

export const MODEL_STATES: readonly ModelState[] = ['shadow', 'pilot', 'live', 'retired'];

/** May results leave this server? */
export const sendsOut = (state: ModelState): boolean => state === 'pilot' || state === 'live';

/** One change of state: who, when, why, and what was shown for it. */
export interface ModelRelease {
  /** `<id>@<version>` */
  readonly model: string;
  readonly state: ModelState;
  readonly at: Date;
  /** A person or office, as the site writes it. */
  readonly by: string;
  readonly reason: string;
  /** Of the file that was released. */
  readonly sha256: string;
  /** In words: golden cases that passed, or that the site went without. */
  readonly proof: string;
}

/** What golden cases said, before a release. */
export interface GoldenProof {
  readonly cases: number;
  readonly passed: number;
  /** The site says that it goes without golden cases: only where there are none. */
  readonly without: boolean;
}

/**
 * May this model go to this state? Gives the proof in words, or why not. Only `live` asks for golden cases: failing ones are never waved
 * through, missing ones only by an explicit word, which is kept.
 */
export function judgeRelease(
  state: ModelState,
  golden: GoldenProof | null,
): { readonly proof: string } | { readonly why: string } {
  if (state !== 'live' || golden === null) return { proof: 'none asked for' };
  const { cases, passed, without } = golden;
  if (passed < cases)
    return { why: `${cases - passed} of ${cases} golden cases fail: it cannot be released to live` };
  if (cases > 0) return { proof: `${cases} golden cases passed` };
  return without
    ? { proof: 'released without golden cases, by explicit decision' }
    : {
        why: 'it has no golden cases, so nothing shows that its numbers are the ones meant: add some, or say --without-golden, which is recorded',
      };
}
