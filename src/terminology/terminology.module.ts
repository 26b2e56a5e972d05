import { Inject, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { registerTerminology } from '../fhir/terminology-registry.ts';
import { ConceptMaps } from './concept-maps.ts';
import { keepTerminology } from './keep-terminology.ts';
import { searchTerminology } from './search-terminology.ts';
import { SubsumingCodes } from './subsuming-codes.ts';
import { TerminologyOperations } from './terminology-operations.ts';
import { TerminologySources } from './terminology-sources.ts';

/** Terminology: what we ship, what a site writes over FHIR or imports, and the operations on it. */
@Module({
  imports: [FhirModule],
  providers: [
    {
      provide: ConceptMaps,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => ConceptMaps.shipped(rowsOf(settings)),
    },
    TerminologySources,
    TerminologyOperations,
    SubsumingCodes,
  ],
  exports: [ConceptMaps, SubsumingCodes],
})
export class TerminologyModule implements OnApplicationBootstrap {
  constructor(
    private readonly store: ResourceStore,
    private readonly database: Database,
    private readonly maps: ConceptMaps,
    @Inject(SETTINGS) private readonly settings: Settings,
    sources: TerminologySources,
  ) {
    registerTerminology(searchTerminology(sources));
  }

  /** After the definitions are loaded, and before the steps that import this module run jobs. */
  async onApplicationBootstrap(): Promise<void> {
    await keepTerminology(this.store, this.database, this.maps, rowsOf(this.settings));
  }
}

/** Rows that need a SNOMED CT licence are used where a site says it has one. */
const rowsOf = (settings: Settings) => ({ licensed: settings.SNOMED_LICENSED === 'yes' });
