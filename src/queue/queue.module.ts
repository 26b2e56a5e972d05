import { Global, Module } from '@nestjs/common';
import { JobEngines } from './job-engines.ts';
import { OutboundActionsHost } from './outbound-actions.ts';
import { Outbox } from './outbox.ts';

@Global()
@Module({
  providers: [Outbox, JobEngines, OutboundActionsHost],
  exports: [Outbox, JobEngines, OutboundActionsHost],
})
export class QueueModule {}
