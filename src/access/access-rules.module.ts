import type { Consent } from '@medplum/fhirtypes';
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { useAccessRules, useEndedGrants } from '../fhir/access-context.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { OperationRegistry } from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { AccessModule } from './access.module.ts';
import { accessRules, type Roles, readRoles } from './access-of-grant.ts';
import { AccessTokens } from './access-tokens.ts';
import { breakGlassOperation } from './break-glass.ts';
import { keepOptOuts } from './consent.store.ts';
import { ACCESS_ROLES } from './injection.ts';
import { consentToOptOut } from './predicate/consent-to-opt-out.ts';

/** Who may see what: the rules that every statement of the server goes by, and what they are made of. */
@Module({
  imports: [FhirModule, AccessModule],
  providers: [
    {
      provide: ACCESS_ROLES,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => readRoles(settings.ACCESS_ROLES_FILE),
    },
  ],
  exports: [ACCESS_ROLES],
})
export class AccessRulesModule implements OnModuleInit {
  constructor(
    @Inject(ACCESS_ROLES) private readonly roles: Roles,
    @Inject(ResourceStore) private readonly store: ResourceStore,
    @Inject(OperationRegistry) private readonly operations: OperationRegistry,
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(Database) private readonly database: Database,
  ) {}

  onModuleInit(): void {
    useAccessRules(accessRules(this.roles));
    useEndedGrants((grant) => this.tokens.isOver(grant));
    this.store.onChange(async (tx, changes) => {
      const consents = changes.filter(({ type }) => type === 'Consent');
      if (consents.length === 0) return;
      const optOuts = consents.flatMap(
        ({ resource }) => (resource && consentToOptOut(resource as Consent, this.store.base)) ?? [],
      );
      await keepOptOuts(
        tx,
        consents.map(({ id }) => id),
        optOuts,
      );
    });
    this.operations.register(breakGlassOperation(this.tokens, this.store, this.database, this.roles));
  }
}
