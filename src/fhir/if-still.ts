import type { Resource } from '@medplum/fhirtypes';

/** For a `ResourceWrite` of what was read before: whoever changed it meanwhile, or made it where there was none, is not written over. */
export const ifStill = (before: Pick<Resource, 'meta'> | null): { readonly ifVersion: string | null } => ({
  ifVersion: before?.meta?.versionId ?? null,
});
