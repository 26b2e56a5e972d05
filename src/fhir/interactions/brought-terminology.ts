import type { BundleEntry, CodeSystem, ValueSet } from '@medplum/fhirtypes';
import { knownProfiles } from '../profiles/known-profiles.ts';
import type { TerminologySource } from '../terminology-registry.ts';

/**
 * The value sets and code systems that a transaction brings, with those of packages: its other entries may be bound to them. Null where it brings none, as
 * nearly always. A conditional entry that turns out to write nothing counts too: what it found stands for the same.
 */
export function broughtTerminology(entries: readonly BundleEntry[]): TerminologySource | null {
  const sets = new Map<string, ValueSet>();
  const systems = new Map<string, CodeSystem>();
  for (const entry of entries) {
    const method = entry?.request?.method;
    if (method !== 'POST' && method !== 'PUT') continue;
    const { resource } = entry;
    if (resource?.resourceType === 'ValueSet' && resource.url) sets.set(resource.url, resource);
    // Without concepts it is a header, whose concepts are in tables.
    if (resource?.resourceType === 'CodeSystem' && resource.url && resource.concept)
      systems.set(resource.url, resource);
  }
  if (sets.size === 0 && systems.size === 0) return null;
  return {
    valueSet: (url) => knownProfiles.valueSet(url) ?? sets.get(url) ?? null,
    codeSystem: (url) => knownProfiles.codeSystem(url) ?? systems.get(url) ?? null,
  };
}
