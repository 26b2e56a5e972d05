import type {
  CodeableConcept,
  PlanDefinition,
  PlanDefinitionGoal,
  Quantity,
  Range,
} from '@medplum/fhirtypes';
import type { FailureIssue } from '../../kernel/errors.ts';
import { checkProtocol } from './check-protocol.ts';
import { PARAMETERS, type ParameterName } from './parameters.ts';
import { PARAMETER_SYSTEM, PART_SYSTEM, PLAN_TYPE, SCOPE_SYSTEM, UCUM } from './plan-codes.ts';
import type { ImagingProtocol, ParameterLimit } from './protocol.ts';

/** Is the PlanDefinition one of ours, by its type? Others are nobody's business here. */
export const isProtocolPlan = (plan: PlanDefinition): boolean =>
  plan.type?.coding?.some(({ system, code }) => system === PLAN_TYPE.system && code === PLAN_TYPE.code) ??
  false;

/** A PlanDefinition as a site keeps it → the protocol it means, or every fault: what could not be compared must not be believed. */
export function planToProtocol(plan: PlanDefinition): {
  protocol: ImagingProtocol | null;
  faults: readonly FailureIssue[];
} {
  const faults: FailureIssue[] = [];
  const parameters = parametersOf(plan.goal ?? [], faults);
  const value = {
    schema: 'imaging-protocol/1',
    id: plan.id ?? '',
    version: plan.version ?? '',
    title: plan.title ?? '',
    status: plan.status === 'unknown' ? 'draft' : plan.status,
    ...(plan.purpose ? { purpose: plan.purpose } : {}),
    ...listed(
      'references',
      plan.relatedArtifact?.flatMap((one) => one.citation ?? []),
    ),
    applies: scopeOf(plan, faults),
    parameters,
    ...listed('positioning', actionTexts(plan, 'positioning')),
    ...listed('contrast_agent', actionTexts(plan, 'contrast-agent')),
    ...listed('quality', actionTexts(plan, 'quality')),
  };
  const checked = checkProtocol(value);
  const all = [...faults, ...checked.faults];
  return { protocol: all.length > 0 ? null : checked.protocol, faults: all };
}

const listed = (name: string, values: readonly string[] | undefined) =>
  values !== undefined && values.length > 0 ? { [name]: values } : {};

const actionTexts = (plan: PlanDefinition, part: string): string[] =>
  (plan.action ?? []).flatMap((action) =>
    action.code?.some((concept) => codeIn(PART_SYSTEM, concept) === part) ? (action.description ?? []) : [],
  );

const codeIn = (system: string, concept: CodeableConcept | undefined): string | undefined =>
  concept?.coding?.find((coding) => coding.system === system)?.code;

const textOf = (concept: CodeableConcept | undefined): string =>
  concept?.text ?? concept?.coding?.[0]?.code ?? '';

const SCOPE_FIELDS: Readonly<Record<string, string>> = {
  modality: 'modality',
  'body-part': 'body_part',
  view: 'view',
  words: 'words',
};

/** Parts of a scope that have one value. */
const ONCE: Readonly<Record<string, string>> = { contrast: 'contrast', age: 'age_years' };

function scopeOf(plan: PlanDefinition, faults: FailureIssue[]): Record<string, unknown> {
  const scope: Record<string, unknown> = {};
  plan.useContext?.forEach(({ code, valueCodeableConcept, valueRange }, at) => {
    if (code.system !== SCOPE_SYSTEM) return;
    const field = SCOPE_FIELDS[code.code ?? ''];
    if (field !== undefined)
      scope[field] = [...((scope[field] as string[]) ?? []), textOf(valueCodeableConcept)];
    else if (ONCE[code.code ?? ''] !== undefined && Object.hasOwn(scope, ONCE[code.code ?? ''] ?? ''))
      faults.push({ at: `useContext[${at}].code`, text: 'is there already: one counts' });
    else if (code.code === 'contrast') scope['contrast'] = textOf(valueCodeableConcept);
    else if (code.code === 'age') scope['age_years'] = limitOf(valueRange, 'a', `useContext[${at}]`, faults);
    else
      faults.push({
        at: `useContext[${at}].code`,
        text: 'is no part of a scope: modality, body-part, view, contrast, age, words',
      });
  });
  return scope;
}

function parametersOf(
  goals: readonly PlanDefinitionGoal[],
  faults: FailureIssue[],
): Partial<Record<ParameterName, ParameterLimit>> {
  const parameters: Partial<Record<ParameterName, ParameterLimit>> = {};
  goals.forEach((goal, g) => {
    const part = codeIn(PART_SYSTEM, goal.category);
    goal.target?.forEach((target, t) => {
      const at = `goal[${g}].target[${t}]`;
      const name = codeIn(PARAMETER_SYSTEM, target.measure) ?? '';
      if (!isParameter(name)) {
        faults.push({
          at: `${at}.measure`,
          text: `is no parameter; there are ${Object.keys(PARAMETERS).join(', ')}`,
        });
        return;
      }
      const limit = parameters[name] ?? {};
      const definition = PARAMETERS[name];
      if (definition.kind === 'number') {
        const twice = Object.hasOwn(parameters, name);
        if (twice || part === 'excluded')
          faults.push({
            at,
            text: twice
              ? 'this parameter has a range already: one counts'
              : 'a range is required, never excluded',
          });
        parameters[name] = { ...limit, ...limitOf(target.detailRange, definition.unit, at, faults) };
        return;
      }
      const field = part === 'excluded' ? 'none_of' : 'one_of';
      parameters[name] = {
        ...limit,
        [field]: [...(limit[field] ?? []), textOf(target.detailCodeableConcept)],
      };
    });
  });
  return parameters;
}

const isParameter = (name: string): name is ParameterName => Object.hasOwn(PARAMETERS, name);

/** The unit must be the parameter's own: nothing is converted, so nothing can be converted wrongly. */
function limitOf(range: Range | undefined, unit: string, at: string, faults: FailureIssue[]): ParameterLimit {
  if (range === undefined) {
    faults.push({ at, text: 'needs a range' });
    return {};
  }
  const numberOf = (quantity: Quantity | undefined, end: string): number | undefined => {
    if (quantity === undefined) return undefined;
    if (quantity.value === undefined) faults.push({ at: `${at}.${end}`, text: 'has no value' });
    if (quantity.system !== UCUM || quantity.code !== unit)
      faults.push({ at: `${at}.${end}`, text: `the unit must be ${unit} (UCUM)` });
    return quantity.value;
  };
  const [min, max] = [numberOf(range.low, 'low'), numberOf(range.high, 'high')];
  return { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
}
