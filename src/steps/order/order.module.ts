import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { InboundMessageStore } from './inbound-message.store.ts';
import { OrderStep } from './order.step.ts';
import { OrderListener } from './order-listener.ts';

/** Orders by HL7 v2. */
@Module({
  imports: [FhirModule],
  providers: [InboundMessageStore, OrderStep, OrderListener],
  exports: [OrderStep, OrderListener],
})
export class OrderModule {}
