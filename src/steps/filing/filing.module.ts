import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { FilingStep } from './filing.step.ts';
import { InboundQueueStore } from './inbound-queue.store.ts';

/** Stored HL7 v2 messages into the record. */
@Module({
  imports: [FhirModule],
  providers: [InboundQueueStore, FilingStep],
  exports: [FilingStep],
})
export class FilingModule {}
