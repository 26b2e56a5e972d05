import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { ForsakenLanes } from './forsaken-lanes.ts';
import { OruOperation } from './oru.operation.ts';
import { OutboundActionsStore } from './outbound-actions.store.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import { RisDestinations } from './ris-destinations.ts';
import { RisMessageStep } from './ris-message.step.ts';
import { RisProfiles } from './ris-profiles.ts';
import { RisSendStep } from './ris-send.step.ts';
import { StopLatePreliminaries } from './stop-late-preliminaries.ts';

/** Results to the RIS and other receivers by HL7 v2. */
@Module({
  imports: [FhirModule],
  providers: [
    OutboundMessageStore,
    ForsakenLanes,
    RisProfiles,
    RisDestinations,
    OutboundActionsStore,
    StopLatePreliminaries,
    OruOperation,
    RisMessageStep,
    RisSendStep,
  ],
  exports: [OutboundMessageStore, RisMessageStep, RisSendStep],
})
export class RisModule {}
