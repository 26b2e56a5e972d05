import type { Coding, Parameters } from '@medplum/fhirtypes';
import { badParameter } from '../../fhir/at-parameter.ts';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { Failure } from '../../kernel/errors.ts';
import type { CodeSystemView } from '../systems/code-system-view.ts';
import type { TerminologySources } from '../terminology-sources.ts';
import { OperationParameters, parametersOf } from './operation-parameters.ts';

export const KNOWN = ['codeA', 'codeB', 'system', 'version', 'codingA', 'codingB'] as const;

export type Subsumption = 'equivalent' | 'subsumes' | 'subsumed-by' | 'not-subsumed';

/** R4 codesystem-operation-subsumes.html, on the type (with a system) and on a CodeSystem. */
export async function subsumes(request: OperationRequest, sources: TerminologySources): Promise<Parameters> {
  const parameters = new OperationParameters(request);
  const codeOf = (which: 'A' | 'B'): Coding => {
    const coding = parameters.coding(`coding${which}`) ?? { code: parameters.text(`code${which}`) ?? '' };
    if (!coding.code) throw new Failure('fhir.invalid', 'Give codeA and codeB, or codingA and codingB.');
    return coding;
  };
  const [a, b] = [codeOf('A'), codeOf('B')];
  if ((a.system ?? b.system) !== (b.system ?? a.system))
    throw new Failure('fhir.invalid', 'Both codes must be of the same code system.');
  const system = parameters.text('system') ?? a.system ?? b.system;
  const version = parameters.text('version') ?? a.version ?? b.version;
  const view = request.id
    ? await sources.codeSystemById(request.id, request.access)
    : system
      ? await sources.codeSystem(version ? `${system}|${version}` : system, request.access)
      : null;
  if (!request.id && !system) throw badParameter('system', 'Give the system of the codes.');
  if (!view)
    throw new Failure('terminology.unknown', 'The code system is not here, or has no concepts here.');
  const outcome = await relationOf(view, a.code ?? '', b.code ?? '');
  if (outcome === null) throw new Failure('terminology.unknown', 'The code system has no such code.');
  return parametersOf({ name: 'outcome', valueCode: outcome });
}

/** Null: one of the codes is not in the code system. */
export async function relationOf(view: CodeSystemView, a: string, b: string): Promise<Subsumption | null> {
  const found = await view.find([a, b]);
  const [first, second] = [found.get(a), found.get(b)];
  if (!first || !second) return null;
  if (first.id === second.id) return 'equivalent';
  if ((await view.ancestors(second)).has(first.id)) return 'subsumes';
  return (await view.ancestors(first)).has(second.id) ? 'subsumed-by' : 'not-subsumed';
}
