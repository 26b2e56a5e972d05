import { Global, Module } from '@nestjs/common';
import { JobEngines } from './job-engines.ts';
import { KeptFileStore } from './kept-file.store.ts';
import { Outbox } from './outbox.ts';

@Global()
@Module({ providers: [Outbox, JobEngines, KeptFileStore], exports: [Outbox, JobEngines, KeptFileStore] })
export class QueueModule {}
