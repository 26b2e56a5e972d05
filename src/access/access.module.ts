import { Module } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../kernel/clock.ts';
import { AccessTokens, ISSUER } from './access-tokens.ts';
import { clientsOf } from './clients.ts';
import { CLIENTS, SIGNING_KEY } from './injection.ts';
import { type SigningKey, signingKeyIn } from './signing-key.ts';
import { TokenController } from './token.controller.ts';

@Module({
  controllers: [TokenController],
  providers: [
    {
      provide: SIGNING_KEY,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => signingKeyIn(settings.PRELIM_DATA),
    },
    {
      provide: CLIENTS,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => clientsOf(settings.PRELIM_DATA, settings.AUTH_CLIENTS),
    },
    {
      provide: AccessTokens,
      inject: [SIGNING_KEY],
      useFactory: (key: SigningKey) => new AccessTokens(key, ISSUER, systemClock),
    },
  ],
  exports: [AccessTokens],
})
export class AccessModule {}
