import { isDeepStrictEqual } from 'node:util';
import type { CodeSystem, StructureDefinition, ValueSet } from '@medplum/fhirtypes';
import { definitions, type RequiredSet, requiredSet } from '../definitions/definitions.ts';
import { expandValueSet } from '../definitions/expand-required-sets.ts';
import type { TerminologySource } from '../terminology-registry.ts';
import { compileProfile } from './compile-profile.ts';
import type { Profile } from './rule.ts';
import { trimDefinition } from './trim-definition.ts';

interface Known {
  readonly definition: StructureDefinition;
  /** From a package folder of the operator, not over FHIR. */
  readonly trusted: boolean;
}

/**
 * The profiles this process validates against: those of packages, those stored over FHIR, those of R4 itself, the
 * first that has the URL. Compiled when they are first used.
 */
export class KnownProfiles implements TerminologySource {
  /** What a profile that nobody knows is: a warning, or an error. */
  unknownProfiles: 'accept' | 'refuse' = 'accept';
  private readonly packaged = new Map<string, Known>();
  private readonly stored = new Map<string, Known>();
  private readonly compiled = new Map<string, Profile | null>();
  private readonly valueSets = new Map<string, RequiredSet>();
  /** Terminology of packages, for value sets that cannot be listed from the package alone. */
  private readonly packagedSets = new Map<string, ValueSet>();
  private readonly packagedSystems = new Map<string, CodeSystem>();

  /** `beneath`: what is known besides, and goes before what clients bring. */
  constructor(private readonly beneath: KnownProfiles | null = null) {}

  /** These, with what a transaction brings: its other entries are held against it. */
  with(brought: readonly (StructureDefinition | ValueSet | CodeSystem)[]): KnownProfiles {
    const all = new KnownProfiles(this);
    all.unknownProfiles = this.unknownProfiles;
    for (const one of brought) {
      if (one.resourceType === 'StructureDefinition') all.store(one);
      else if (one.url && one.resourceType === 'ValueSet') all.packagedSets.set(one.url, one);
      else if (one.url && one.resourceType === 'CodeSystem') all.packagedSystems.set(one.url, one);
    }
    return all;
  }

  /** By canonical URL, with or without `|version`; of another version than asked it is not known. */
  readonly find = (canonical: string): Profile | null => {
    const bar = canonical.indexOf('|');
    const url = bar === -1 ? canonical : canonical.slice(0, bar);
    let profile = this.compiled.get(url);
    if (profile === undefined) {
      // What nobody knows is not kept: every write may bring a URL nobody has seen.
      const known = this.definition(url);
      if (!known) return null;
      // A definition that derives from itself finds nothing the second time.
      this.compiled.set(url, null);
      profile = this.compile(known);
      this.compiled.set(url, profile);
    }
    if (!profile || bar === -1) return profile;
    const version = canonical.slice(bar + 1);
    return profile.version === null || profile.version === version ? profile : null;
  };

  /** A definition over FHIR; it takes the place of one with the same URL. */
  store(definition: StructureDefinition): void {
    const { url } = definition;
    // What a package of the operator defines, a client cannot loosen by storing another definition under its URL.
    if (!url || this.packaged.has(url)) return;
    const trimmed = trimDefinition(definition);
    if (isDeepStrictEqual(this.stored.get(url)?.definition, trimmed)) return;
    this.stored.set(url, { definition: trimmed, trusted: false });
    this.compiled.clear();
  }

  forget(url: string): void {
    if (this.stored.delete(url)) this.compiled.clear();
  }

  /** What a package folder holds; its value sets are listed as far as its own code systems and R4 go. */
  addPackage(resources: readonly (StructureDefinition | ValueSet | CodeSystem)[]): void {
    for (const resource of resources) {
      if (resource.resourceType === 'StructureDefinition' && resource.url)
        this.packaged.set(resource.url, { definition: trimDefinition(resource), trusted: true });
    }
    const terminology = resources.filter((one) => one.resourceType !== 'StructureDefinition');
    for (const resource of terminology) {
      const { url } = resource;
      if (!url) continue;
      if (resource.resourceType === 'CodeSystem') this.packagedSystems.set(url, resource);
      else {
        const codes = expandValueSet(url, terminology);
        if (codes) this.valueSets.set(url, requiredSet(codes));
        this.packagedSets.set(url, resource);
      }
    }
    this.compiled.clear();
  }

  /** A value set of a package; null when no package has it. */
  valueSet(url: string): ValueSet | null {
    return this.beneath?.valueSet(url) ?? this.packagedSets.get(url) ?? null;
  }

  /** A code system of a package with its concepts; null when no package has it. */
  codeSystem(url: string): CodeSystem | null {
    const system = this.packagedSystems.get(url);
    return this.beneath?.codeSystem(url) ?? (system?.concept ? system : null);
  }

  private definition(url: string): Known | null {
    const core = () => {
      const definition = definitions().profiles.find(url);
      return definition && { definition, trusted: true };
    };
    if (this.beneath)
      return this.beneath.packaged.get(url) ?? this.stored.get(url) ?? this.beneath.definition(url);
    return this.packaged.get(url) ?? this.stored.get(url) ?? core();
  }

  private compile(known: Known): Profile | null {
    try {
      return compileProfile(known.definition, {
        find: this.find,
        valueSet: (canonical) => this.members(canonical),
        trusted: known.trusted,
      });
    } catch {
      // What was stored as a StructureDefinition may make no sense as one; then it is not known.
      return null;
    }
  }

  private members(canonical: string): RequiredSet | null {
    const url = canonical.replace(/\|.*$/, '');
    if (this.beneath) return this.beneath.members(canonical);
    return definitions().requiredSets.get(url) ?? this.valueSets.get(url) ?? null;
  }
}

/** One per process, as the definitions are. */
export const knownProfiles = new KnownProfiles();
