import { Global, Module } from '@nestjs/common';
import { JobEngines } from './job-engines.ts';
import { Outbox } from './outbox.ts';

@Global()
@Module({ providers: [Outbox, JobEngines], exports: [Outbox, JobEngines] })
export class QueueModule {}
