import { Module, type OnModuleInit } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { ModelStates } from '../../governance/model-states.ts';
import { Outbox } from '../../queue/outbox.ts';
import { announceChanges } from './announce-changes.ts';
import { ReportStep } from './report.step.ts';
import { withdrawResultsWithStudy } from './withdraw-with-study.ts';

@Module({
  imports: [FhirModule, GovernanceModule],
  providers: [ReportStep],
  exports: [ReportStep],
})
export class ReportModule implements OnModuleInit {
  constructor(
    private readonly store: ResourceStore,
    private readonly outbox: Outbox,
    private readonly states: ModelStates,
  ) {}

  onModuleInit(): void {
    announceChanges(this.store, this.outbox, this.states);
    withdrawResultsWithStudy(this.store);
  }
}
