import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { ReportStep } from './report.step.ts';

@Module({ imports: [FhirModule, GovernanceModule], providers: [ReportStep], exports: [ReportStep] })
export class ReportModule {}
