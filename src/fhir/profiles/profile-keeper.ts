import type { StructureDefinition } from '@medplum/fhirtypes';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { Database } from '../../database/database.ts';
import { ResourceStore } from '../resource-store.ts';
import { knownCodes } from '../validate/bound-codes.ts';
import { knownProfiles } from './known-profiles.ts';
import { ownPackageFolder, readPackage } from './package-folder.ts';
import { readDefinitions } from './profile.store.ts';

/** How long a profile stored through another process of the same server may take until this one enforces it. */
export const PROFILE_REFRESH_MS = 10_000;
/** Clocks of processes differ, and commits become visible in another order than their times. */
const PROFILE_OVERLAP_MS = 60_000;

/**
 * Keeps the profiles of this process: those of packages from the start, those stored over FHIR with the commit that stores them, and those
 * stored through other processes a little later.
 */
@Injectable()
export class ProfileKeeper implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | null = null;
  /** Id of a stored definition → the URL it had: what a deletion takes away. */
  private readonly urls = new Map<string, string>();
  private newest: Date | null = null;

  constructor(
    private readonly store: ResourceStore,
    @Inject(Database) private readonly database: Database,
    @Inject(SETTINGS)
    private readonly settings: Partial<Pick<Settings, 'FHIR_PACKAGES' | 'FHIR_UNKNOWN_PROFILES'>>,
  ) {}

  onModuleInit(): void {
    knownProfiles.unknownProfiles = this.settings.FHIR_UNKNOWN_PROFILES ?? 'accept';
    for (const folder of [ownPackageFolder(), ...(this.settings.FHIR_PACKAGES ?? [])]) {
      knownProfiles.addPackage(
        readPackage(folder).filter(
          (one) =>
            one.resourceType === 'StructureDefinition' ||
            one.resourceType === 'ValueSet' ||
            one.resourceType === 'CodeSystem',
        ),
      );
    }
    this.store.onChange(async (tx, changes) => {
      if (changes.some(({ type }) => type === 'ValueSet' || type === 'CodeSystem'))
        tx.afterCommit(() => knownCodes.forget());
      for (const change of changes) {
        if (change.type !== 'StructureDefinition') continue;
        const definition = change.resource as StructureDefinition | null;
        tx.afterCommit(() => this.take(change.id, definition));
      }
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.refresh();
    this.timer = setInterval(() => void this.refresh().catch(() => undefined), PROFILE_REFRESH_MS);
    this.timer.unref();
  }

  onModuleDestroy(): void {
    if (this.timer) clearInterval(this.timer);
  }

  /** Reads what was stored or deleted since the last look. */
  async refresh(): Promise<void> {
    const since = this.newest && new Date(this.newest.getTime() - PROFILE_OVERLAP_MS);
    for (const { id, last_updated, deleted, content } of await readDefinitions(this.database, since)) {
      if (this.newest === null || last_updated > this.newest) this.newest = last_updated;
      this.take(id, deleted ? null : (JSON.parse(content) as StructureDefinition));
    }
  }

  private take(id: string, definition: StructureDefinition | null): void {
    const before = this.urls.get(id);
    if (before !== undefined && before !== definition?.url) knownProfiles.forget(before);
    if (!definition?.url) this.urls.delete(id);
    else {
      this.urls.set(id, definition.url);
      knownProfiles.store(definition);
    }
  }
}
