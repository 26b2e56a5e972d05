import { Module } from '@nestjs/common';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { AnalysisStep } from './analysis.step.ts';
import { AnalysisRequestsStore } from './analysis-requests.store.ts';
import { AnalyzeOperation } from './analyze.operation.ts';
import { TaskEnds } from './task-ends.ts';

@Module({
  imports: [FhirModule, GovernanceModule],
  providers: [AnalysisRequestsStore, AnalysisStep, AnalyzeOperation, TaskEnds],
  exports: [AnalysisStep],
})
export class AnalysisModule {}
