import type { CodeSystem, Coding, Parameters } from '@medplum/fhirtypes';
import { badParameter } from '../../fhir/at-parameter.ts';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { Failure } from '../../kernel/errors.ts';
import { type Selection, ValueSetComposer } from '../sets/compose-value-set.ts';
import type { CodeSystemView, Concept, Designation } from '../systems/code-system-view.ts';
import type { TerminologySources } from '../terminology-sources.ts';
import { askedCodings } from './asked-codings.ts';
import { askedValueSet } from './asked-value-set.ts';
import { displayFits, displayIn } from './displays.ts';
import { OperationParameters, parametersOf } from './operation-parameters.ts';

export const OF_SYSTEM = [
  'url',
  'codeSystem',
  'code',
  'version',
  'display',
  'coding',
  'codeableConcept',
  'date',
  'abstract',
  'displayLanguage',
] as const;
export const OF_SET = [
  'url',
  'valueSet',
  'valueSetVersion',
  'code',
  'system',
  'systemVersion',
  'display',
  'coding',
  'codeableConcept',
  'date',
  'abstract',
  'displayLanguage',
] as const;

/** What became of one code. */
type Verdict =
  | { readonly kind: 'good'; readonly concept: Concept; readonly designations: readonly Designation[] }
  | {
      readonly kind: 'wrong-display';
      readonly concept: Concept;
      readonly designations: readonly Designation[];
    }
  | { readonly kind: 'wrong'; readonly message: string };

/** R4 codesystem-operation-validate-code.html. A code that is not there is an answer (`result` false), not an error. */
export async function validateCodeInSystem(
  request: OperationRequest,
  sources: TerminologySources,
): Promise<Parameters> {
  const parameters = new OperationParameters(request);
  const codings = askedCodings(parameters, { system: 'url' });
  const inline = parameters.resource<CodeSystem>('codeSystem', 'CodeSystem');
  const instance = request.id ? await sources.codeSystemById(request.id, request.access) : null;
  const own = inline ? sources.codeSystemOf(inline) : instance;
  if (request.id && !own) throw unknownSystem();
  const url = parameters.text('url') ?? own?.url;
  if (!own && url === undefined && codings.every(({ system }) => !system))
    throw badParameter('url', 'Give the url of the code system.');
  const verdict = await firstGood(codings, async (coding) => {
    const system = coding.system ?? url ?? '';
    if (url !== undefined && system !== url)
      return { kind: 'wrong', message: 'The coding is of another code system.' };
    const version = coding.version ?? parameters.text('version');
    const view = own ?? (await sources.codeSystem(version ? `${system}|${version}` : system, request.access));
    if (!view)
      return { kind: 'wrong', message: 'The code system is not here, so the code cannot be checked.' };
    const concept = (await view.find([coding.code ?? ''])).get(coding.code ?? '');
    if (!concept) return { kind: 'wrong', message: 'The code system has no such code.' };
    return judge(view, concept, coding, undefined, parameters.flag('abstract'));
  });
  return answer(verdict, parameters.text('displayLanguage'));
}

const unknownSystem = () =>
  new Failure('terminology.unknown', 'The code system is not here, or has no concepts here.');

/** R4 valueset-operation-validate-code.html. */
export async function validateCodeInSet(
  request: OperationRequest,
  sources: TerminologySources,
): Promise<Parameters> {
  const parameters = new OperationParameters(request);
  const codings = askedCodings(parameters, { version: 'systemVersion' });
  const valueSet = await askedValueSet(parameters, request, sources);
  const composer = new ValueSetComposer({
    codeSystem: (url) => sources.codeSystem(url, request.access),
    valueSet: (url) => sources.valueSet(url, request.access),
  });
  const selection = await composer.compose(valueSet);
  const verdict = await firstGood(codings, async (coding) => {
    const found = await findIn(selection, coding);
    if (!found) return { kind: 'wrong', message: await whyNotIn(composer, coding) };
    const { view, concept } = found;
    const renamed = composer.displays.get(view)?.get(concept.id);
    return judge(view, concept, coding, renamed?.display, parameters.flag('abstract'));
  });
  return answer(verdict, parameters.text('displayLanguage'));
}

/** Of several codings one that is good is enough; of bad ones the first is told. */
async function firstGood(
  codings: readonly Coding[],
  judged: (coding: Coding) => Promise<Verdict>,
): Promise<Verdict> {
  let first: Verdict | null = null;
  for (const coding of codings) {
    const verdict = await judged(coding);
    if (verdict.kind === 'good') return verdict;
    if (first === null || first.kind === 'wrong') first = verdict;
  }
  return first ?? { kind: 'wrong', message: 'There is no coding to check.' };
}

async function judge(
  view: CodeSystemView,
  concept: Concept,
  coding: Coding,
  renamed: string | undefined,
  abstract: boolean | undefined,
): Promise<Verdict> {
  if (concept.abstract && abstract === false)
    return { kind: 'wrong', message: 'The code only groups others and cannot be chosen here.' };
  const named: Concept = renamed === undefined ? concept : { ...concept, display: renamed };
  const own = (await view.designations([concept.id])).get(concept.id) ?? [];
  const designations =
    renamed === undefined ? own : [...own, { language: null, use: null, value: concept.display }];
  const fits = coding.display === undefined || displayFits(coding.display, named, designations);
  return { kind: fits ? 'good' : 'wrong-display', concept: named, designations };
}

/** Without a system the code may be of any system of the set (R4: where the set draws on one only). */
async function findIn(
  selection: Selection,
  { system, version, code = '' }: Coding,
): Promise<{ view: CodeSystemView; concept: Concept } | null> {
  const found: { view: CodeSystemView; concept: Concept }[] = [];
  for (const [view, set] of selection) {
    if (system !== undefined && view.url !== system) continue;
    if (version !== undefined && view.version !== null && view.version !== version) continue;
    const concept = (await view.find([code])).get(code);
    if (concept && set.has(concept.id)) found.push({ view, concept });
  }
  if (system === undefined && new Set(found.map(({ view }) => view.url)).size > 1)
    throw new Failure(
      'fhir.invalid',
      'The code stands in more than one code system of the value set. Give the system.',
    );
  return found[0] ?? null;
}

async function whyNotIn(composer: ValueSetComposer, { system, version, code = '' }: Coding): Promise<string> {
  if (system === undefined) return 'The value set has no such code.';
  const view = await composer.view(system, version);
  const exists = view === null || (await view.find([code])).has(code);
  return exists ? 'The code is not in the value set.' : 'The code system has no such code.';
}

function answer(verdict: Verdict, language: string | undefined): Parameters {
  if (verdict.kind === 'wrong')
    return parametersOf(
      { name: 'result', valueBoolean: false },
      { name: 'message', valueString: verdict.message },
    );
  const { kind, concept, designations } = verdict;
  const message = kind === 'good' ? null : 'The display is not a name of this code.';
  return parametersOf(
    { name: 'result', valueBoolean: kind === 'good' },
    message === null ? null : { name: 'message', valueString: message },
    { name: 'display', valueString: displayIn(concept, designations, language) },
  );
}
