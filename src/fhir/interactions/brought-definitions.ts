import type { BundleEntry, CodeSystem, StructureDefinition, ValueSet } from '@medplum/fhirtypes';
import { type KnownProfiles, knownProfiles } from '../profiles/known-profiles.ts';

/**
 * The profiles, value sets and code systems that a transaction brings, beside those that are known: its other entries may claim them or be bound to them,
 * and R4 http.html#trules has all of it at once. Null where it brings none, as nearly always. A conditional entry that turns out to write nothing
 * counts too: what it found stands for the same.
 */
export function broughtDefinitions(entries: readonly BundleEntry[]): KnownProfiles | null {
  const brought: (StructureDefinition | ValueSet | CodeSystem)[] = [];
  for (const entry of entries) {
    const method = entry?.request?.method;
    if (method !== 'POST' && method !== 'PUT') continue;
    const { resource } = entry;
    if (resource?.resourceType === 'StructureDefinition' || resource?.resourceType === 'ValueSet')
      brought.push(resource);
    // Without concepts it is a header, whose concepts are in tables.
    if (resource?.resourceType === 'CodeSystem' && resource.concept) brought.push(resource);
  }
  return brought.length === 0 ? null : knownProfiles.with(brought);
}
