import { Module, type OnApplicationBootstrap } from '@nestjs/common';
import { Database } from '../database/database.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { ConceptMaps } from './concept-maps.ts';
import { keepTerminology } from './keep-terminology.ts';

/** Code systems and maps: shipped, kept in the FHIR store, answered from memory. */
@Module({
  imports: [FhirModule],
  providers: [{ provide: ConceptMaps, useFactory: () => ConceptMaps.shipped() }],
  exports: [ConceptMaps],
})
export class TerminologyModule implements OnApplicationBootstrap {
  constructor(
    private readonly store: ResourceStore,
    private readonly database: Database,
    private readonly maps: ConceptMaps,
  ) {}

  /** After the definitions are loaded, and before the steps that import this module run jobs. */
  async onApplicationBootstrap(): Promise<void> {
    await keepTerminology(this.store, this.database, this.maps);
  }
}
