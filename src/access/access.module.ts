import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { OperationRegistry } from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { systemClock } from '../kernel/clock.ts';
import { AccessTokens, ISSUER } from './access-tokens.ts';
import { AdministerController } from './administer.controller.ts';
import { AuthorizeController } from './authorize.controller.ts';
import { clientsOf } from './clients.ts';
import { EhrLaunchController } from './ehr-launch.controller.ts';
import { EhrLaunches } from './ehr-launches.ts';
import { CLIENTS, EHRS, OPEN_ID, OPERATOR_KEYS, OUTSIDE_ISSUERS, SIGNING_KEY } from './injection.ts';
import { LaunchController } from './launch.controller.ts';
import { AuthenticateClient } from './oauth/authenticate-client.ts';
import { AuthorizationSteps } from './oauth/authorization-steps.ts';
import { ClientKeys } from './oauth/client-keys.ts';
import { GiveTokens } from './oauth/give-tokens.ts';
import { GrantsStore } from './oauth/grants.store.ts';
import { LaunchStore } from './oauth/launch.store.ts';
import { RequestStore } from './oauth/request.store.ts';
import { Revocations } from './oauth/revocations.ts';
import { SweepStore } from './oauth/sweep.store.ts';
import { TradeCode } from './oauth/trade-code.ts';
import { OpenIdController } from './open-id.controller.ts';
import { clientRules, operatorRules } from './outbound/outbound-rules.ts';
import { Ehr, readEhrs } from './outside/ehr.ts';
import { OpenIdProvider, readProvider } from './outside/open-id-provider.ts';
import { type OutsideIssuer, OutsideIssuers, readIssuers } from './outside/outside-issuers.ts';
import { PageSessionController } from './page-session.controller.ts';
import { PageSessions } from './page-sessions.ts';
import { AccountStore } from './people/account.store.ts';
import { AuditSignIn } from './people/audit-sign-in.ts';
import { PageSessionStore } from './people/page-session.store.ts';
import { PatientPicker } from './people/patient-picker.ts';
import { SessionStore } from './people/session.store.ts';
import { SignInPages } from './people/sign-in-pages.ts';
import { ClientStore } from './registration/client.store.ts';
import { keepClients } from './registration/keep-clients.ts';
import { type SigningKeys, signingKeyIn } from './signing-key.ts';
import { smartSecurity } from './smart-endpoints.ts';
import { TokenController } from './token.controller.ts';
import { TokenStatusController } from './token-status.controller.ts';
import { WellKnownController } from './well-known.controller.ts';

/** Who is asking: clients, people, and the tokens that say so. What they may see stands in AccessRulesModule. */
@Module({
  imports: [FhirModule],
  controllers: [
    TokenController,
    PageSessionController,
    EhrLaunchController,
    TokenStatusController,
    AuthorizeController,
    OpenIdController,
    LaunchController,
    AdministerController,
    WellKnownController,
  ],
  providers: [
    AuthenticateClient,
    AuthorizationSteps,
    GiveTokens,
    GrantsStore,
    LaunchStore,
    RequestStore,
    Revocations,
    SweepStore,
    TradeCode,
    AccountStore,
    AuditSignIn,
    PatientPicker,
    SessionStore,
    PageSessionStore,
    PageSessions,
    SignInPages,
    EhrLaunches,
    ClientStore,
    {
      provide: SIGNING_KEY,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => signingKeyIn(settings.PRELIM_DATA),
    },
    {
      provide: CLIENTS,
      inject: [SETTINGS],
      useFactory: (settings: Settings) =>
        clientsOf(settings.PRELIM_DATA, settings.AUTH_CLIENTS, settings.baseUrl),
    },
    {
      provide: OUTSIDE_ISSUERS,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => readIssuers(settings.AUTH_ISSUERS),
    },
    {
      provide: ClientKeys,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => new ClientKeys(systemClock, clientRules(settings)),
    },
    {
      provide: OPERATOR_KEYS,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => new ClientKeys(systemClock, operatorRules(settings)),
    },
    {
      provide: OPEN_ID,
      inject: [SETTINGS, OPERATOR_KEYS, SIGNING_KEY],
      useFactory: async (settings: Settings, keys: ClientKeys, ours: SigningKeys) => {
        const provider = readProvider(settings.AUTH_OPENID);
        // As for an EHR below.
        if (provider?.clientAlgorithm) await ours.current(provider.clientAlgorithm);
        const rules = operatorRules(settings);
        return provider && new OpenIdProvider(provider, rules, keys, settings.baseUrl, ours);
      },
    },
    {
      provide: EHRS,
      inject: [SETTINGS, OPERATOR_KEYS, SIGNING_KEY],
      useFactory: async (settings: Settings, keys: ClientKeys, ours: SigningKeys) => {
        const ehrs = readEhrs(settings.AUTH_EHRS);
        // Published from the start on, so that the EHR knows the key before the first launch.
        for (const { clientAlgorithm } of ehrs) if (clientAlgorithm) await ours.current(clientAlgorithm);
        const rules = operatorRules(settings);
        return ehrs.map((one) => new Ehr(one, rules, keys, settings.baseUrl, ours));
      },
    },
    {
      provide: AccessTokens,
      inject: [SIGNING_KEY, OUTSIDE_ISSUERS, OPERATOR_KEYS, SETTINGS],
      useFactory: (
        keys: SigningKeys,
        issuers: readonly OutsideIssuer[],
        issuerKeys: ClientKeys,
        { baseUrl }: Settings,
      ) =>
        new AccessTokens(
          keys,
          ISSUER,
          systemClock,
          new OutsideIssuers(issuers, issuerKeys, `${baseUrl}/fhir`),
        ),
    },
  ],
  exports: [AccessTokens],
})
export class AccessModule implements OnModuleInit {
  constructor(
    @Inject(ResourceStore) private readonly store: ResourceStore,
    @Inject(OperationRegistry) private readonly operations: OperationRegistry,
    @Inject(ClientStore) private readonly clients: ClientStore,
    @Inject(OUTSIDE_ISSUERS) private readonly issuers: readonly OutsideIssuer[],
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    this.store.onChange(keepClients(this.clients, clientRules(this.settings)));
    this.operations.secure(smartSecurity(this.settings.baseUrl, this.issuers));
  }
}
