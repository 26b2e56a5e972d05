import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from './config/settings.token.ts';
import type { Settings } from './config/settings.ts';
import { LOGGER } from './kernel/log.ts';

/** What every module may ask for: the settings of this process and its logger. */
@Global()
@Module({})
export class ProcessModule {
  static with(settings: Settings, log: Logger): DynamicModule {
    const providers = [
      { provide: SETTINGS, useValue: settings },
      { provide: LOGGER, useValue: log },
    ];
    return { module: ProcessModule, providers, exports: providers };
  }
}
