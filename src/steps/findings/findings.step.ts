import { Injectable } from '@nestjs/common';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { verdictText } from '../../governance/analysis-task.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { refuseAnalysis } from '../../governance/refuse-analysis.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import type { FindingsCoded, GateVerdict, Inferred } from '../../kernel/handoffs.ts';
import { ConceptMaps } from '../../terminology/concept-maps.ts';
import { done, refused, type Step, type StepResult } from '../step.ts';
import { outputsToFindings } from './outputs-to-findings.ts';

/** Raw outputs → findings by the manifest's thresholds → codes by the ConceptMaps, each with its match grade or an explicit none. */
@Injectable()
export class FindingsStep implements Step<Inferred, FindingsCoded> {
  readonly name = 'findings';

  constructor(
    private readonly models: ModelRegister,
    private readonly maps: ConceptMaps,
    private readonly store: ResourceStore,
  ) {}

  async run(handoff: Inferred): Promise<StepResult<FindingsCoded>> {
    const model = this.models.get(handoff.model);
    if (model === null) return this.refuse(handoff, [NOT_LOADED]);
    const result = outputsToFindings(model.manifest, handoff.outputs, handoff.regions);
    if (result.kind === 'refused') return this.refuse(handoff, result.refusals);
    const findings = result.findings.map((finding) => ({
      ...finding,
      codes: this.maps.codesOf(CODE_SYSTEMS.finding, finding.key),
    }));
    return done({ ...handoff, findings }, { durable: false });
  }

  private refuse(handoff: Inferred, refusals: readonly GateVerdict[]): StepResult<never> {
    return refused(refusals.map(verdictText).join('; '), (tx) =>
      refuseAnalysis(this.store, tx, handoff, refusals),
    );
  }
}

const NOT_LOADED: GateVerdict = {
  rule: 'model',
  observed: 'the model is not loaded here any more',
  required: 'a model of the register',
};
