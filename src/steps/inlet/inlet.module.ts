import { Module } from '@nestjs/common';
import { DoorEvents } from './door-events.ts';
import { FilingCall } from './filing-call.ts';
import { InboundMessageStore } from './inbound-message.store.ts';
import { InletListener } from './inlet-listener.ts';
import { MessageInlet } from './message-inlet.ts';

/** HL7 v2 messages at the MLLP door. */
@Module({
  providers: [InboundMessageStore, FilingCall, DoorEvents, MessageInlet, InletListener],
  exports: [InletListener, DoorEvents],
})
export class InletModule {}
