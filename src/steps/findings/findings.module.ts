import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { TerminologyModule } from '../../terminology/terminology.module.ts';
import { FindingsStep } from './findings.step.ts';

@Module({
  imports: [FhirModule, GovernanceModule, TerminologyModule],
  providers: [FindingsStep],
  exports: [FindingsStep],
})
export class FindingsModule {}
