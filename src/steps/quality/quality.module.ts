import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { ConformanceModule } from '../../governance/conformance.module.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { TerminologyModule } from '../../terminology/terminology.module.ts';
import { QualityStep } from './quality.step.ts';

@Module({
  imports: [FhirModule, GovernanceModule, ConformanceModule, TerminologyModule],
  providers: [QualityStep],
  exports: [QualityStep],
})
export class QualityModule {}
