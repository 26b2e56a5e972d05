import type { Basic } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { type ResourceChange, ResourceStore } from '../../fhir/resource-store.ts';
import { PRELIM } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { ReadProfile } from './profile-settings.ts';
import { nameProfile, READY_PROFILES, readRisProfile } from './ris-profile.ts';

/** What makes a `Basic` a profile of a receiver of results. */
export const RIS_PROFILE_CODE = {
  system: `${PRELIM}/CodeSystem/basic-resource`,
  code: 'ris-profile',
} as const;
/** Holds the profile as JSON text. */
export const RIS_PROFILE_EXTENSION = `${PRELIM}/StructureDefinition/ris-profile`;
/** `ris-profile-<name>` is the id: so there is one of each name, and it is read without a search. */
const profileResourceId = (name: string): string => `ris-profile-${name}`;

/**
 * Profiles by name. One that was written over FHIR goes before the one of the same name in files, from the next message on and in every process; deleting it
 * brings the one of the files back. One that does not meet the schema is refused when it is written.
 */
@Injectable()
export class RisProfiles implements OnModuleInit {
  /** As the files have them. */
  private readonly given = new Map<string, unknown>(Object.entries(READY_PROFILES));
  /** By name, for one version of the resource: most messages are made with the profile of the one before. */
  private readonly parsed = new Map<string, { readonly versionId: string; readonly profile: ReadProfile }>();
  /** What the site is called holds for every profile, those too that no receiver has. */
  private base: Readonly<Record<string, unknown>> = {};

  constructor(private readonly store: ResourceStore) {}

  onModuleInit(): void {
    this.store.onChange(async (_tx, changes) => {
      for (const change of changes) this.refuseFaults(change);
    });
  }

  /** A profile of the files; `base` are the site's names. Throws `ris.profile` with every fault. */
  keep(name: string, profile: unknown, base: Readonly<Record<string, unknown>>): void {
    readRisProfile(profile, base);
    this.base = base;
    this.given.set(name, profile);
  }

  get names(): readonly string[] {
    return [...this.given.keys()];
  }

  /** Throws `ris.unknown-destination` when there is none of this name. */
  async read(name: string): Promise<ReadProfile> {
    const kept = await this.store.read('Basic', profileResourceId(name));
    const versionId = kept && !kept.deleted ? kept.versionId : '';
    const known = this.parsed.get(name);
    if (known !== undefined && known.versionId === versionId) return known.profile;
    const content = kept && !kept.deleted ? contentOf(kept.parse<Basic>()) : this.given.get(name);
    if (content === undefined)
      throw new Failure(
        'ris.unknown-destination',
        `There is no such profile. There are: ${this.names.join(', ')}.`,
      );
    const named = nameProfile(name, readRisProfile(content, this.base));
    this.parsed.set(name, { versionId, profile: named });
    return named;
  }

  private refuseFaults({ type, id, resource }: ResourceChange): void {
    if (type !== 'Basic' || !resource || !isProfile(resource as Basic)) return;
    const name = id.slice(profileResourceId('').length);
    if (!id.startsWith(profileResourceId('')) || name === '') {
      const text = `must be ${profileResourceId('<name>')}: a profile is found by it, so write it by PUT`;
      throw new Failure('ris.profile', `The id of a RIS profile ${text}.`, {
        issues: [{ at: 'Basic.id', text }],
      });
    }
    readRisProfile(contentOf(resource as Basic), this.base);
  }
}

const isProfile = (basic: Basic): boolean =>
  basic.code?.coding?.some(
    ({ system, code }) => system === RIS_PROFILE_CODE.system && code === RIS_PROFILE_CODE.code,
  ) === true;

/** Throws `ris.profile` when the resource has no such JSON. */
function contentOf(basic: Basic): unknown {
  const text = basic.extension?.find(({ url }) => url === RIS_PROFILE_EXTENSION)?.valueString;
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  const words = `must be the text of one JSON object in valueString of the extension ${RIS_PROFILE_EXTENSION}`;
  throw new Failure('ris.profile', `The RIS profile ${words}.`, {
    issues: [{ at: 'Basic.extension', text: words }],
  });
}
