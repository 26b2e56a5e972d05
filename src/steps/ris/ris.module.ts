import { Module, type OnModuleDestroy } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import { RisDestination } from './ris-destination.ts';
import { RisMessageStep } from './ris-message.step.ts';
import { RisSendStep } from './ris-send.step.ts';

/** Results to the RIS by HL7 v2. */
@Module({
  imports: [FhirModule],
  providers: [
    OutboundMessageStore,
    {
      provide: RisDestination,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => new RisDestination(settings),
    },
    RisMessageStep,
    RisSendStep,
  ],
  exports: [OutboundMessageStore, RisMessageStep, RisSendStep],
})
export class RisModule implements OnModuleDestroy {
  constructor(private readonly destination: RisDestination) {}

  onModuleDestroy(): void {
    this.destination.close();
  }
}
