import { Inject, Module, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Database } from '../database/database.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { LOGGER } from '../kernel/log.ts';
import { ConformanceOperation } from './conformance.operation.ts';
import { ConformanceStore } from './conformance.store.ts';
import { Conformance } from './conformance.ts';
import { ConformanceLog } from './conformance-log.ts';
import { conformanceMeasures } from './conformance-report.ts';
import { ProtocolLibrary } from './protocol-library.ts';

/** Imaging protocols, and what the gate says by scanner and over time. */
@Module({
  imports: [FhirModule],
  providers: [ConformanceStore, ProtocolLibrary, Conformance, ConformanceLog, ConformanceOperation],
  exports: [Conformance, ConformanceLog],
})
export class ConformanceModule implements OnApplicationBootstrap {
  constructor(
    private readonly library: ProtocolLibrary,
    private readonly store: ResourceStore,
    private readonly database: Database,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** After the definitions are loaded, and before the steps that import this module run jobs. */
  async onApplicationBootstrap(): Promise<void> {
    const measures = conformanceMeasures().map(
      (resource) => ({ kind: 'update', resource, unchanged: 'skip' }) as const,
    );
    await this.database.transaction((tx) => this.store.write(tx, measures));
    for (const { file, faults } of await this.library.start())
      this.log.error({ file, faults }, 'imaging protocol refused');
  }
}
