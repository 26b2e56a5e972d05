import type { LoggerService } from '@nestjs/common';
import type { Logger } from 'pino';

/** Nest's own words about modules and routes are for developers: they go to `debug`. Its errors name classes, never data. */
export function quietNestLogger(log: Logger): LoggerService {
  return {
    log: (message: unknown) => log.debug({ nest: String(message) }),
    warn: (message: unknown) => log.warn({ nest: String(message) }),
    error: (message: unknown) => log.error({ nest: String(message).split('\n', 1)[0] }),
    debug: () => undefined,
    verbose: () => undefined,
    fatal: (message: unknown) => log.fatal({ nest: String(message).split('\n', 1)[0] }),
  };
}
