import type {
  PlanDefinition,
  PlanDefinitionAction,
  PlanDefinitionGoal,
  PlanDefinitionGoalTarget,
  Quantity,
  UsageContext,
} from '@medplum/fhirtypes';
import { definitionOf, type ParameterName } from './parameters.ts';
import { PARAMETER_SYSTEM, PART_SYSTEM, PLAN_TYPE, protocolUrl, SCOPE_SYSTEM, UCUM } from './plan-codes.ts';
import type { ImagingProtocol, ParameterLimit, ProtocolScope } from './protocol.ts';

/**
 * A protocol → R4 PlanDefinition (plandefinition.html): its scope as `useContext`, what the images must show as the targets of two goals
 * (required, excluded), what people do and look for as actions. `planToProtocol` is the way back.
 */
export function protocolToPlan(protocol: ImagingProtocol): PlanDefinition & { id: string } {
  const goals = [goalOf('required', protocol), goalOf('excluded', protocol)].filter((goal) => goal !== null);
  const actions = [
    ...(protocol.positioning ?? []).map((text) => actionOf('positioning', text)),
    ...(protocol.contrast_agent ?? []).map((text) => actionOf('contrast-agent', text)),
    ...(protocol.quality ?? []).map((text) => actionOf('quality', text)),
  ];
  return {
    resourceType: 'PlanDefinition',
    id: protocol.id,
    url: protocolUrl(protocol.id),
    version: protocol.version,
    title: protocol.title,
    type: { coding: [{ ...PLAN_TYPE, display: 'Imaging protocol' }] },
    status: protocol.status,
    ...(protocol.purpose ? { purpose: protocol.purpose } : {}),
    useContext: scopeToContexts(protocol.applies),
    ...(protocol.references
      ? { relatedArtifact: protocol.references.map((citation) => ({ type: 'citation' as const, citation })) }
      : {}),
    ...(goals.length > 0 ? { goal: goals } : {}),
    ...(actions.length > 0 ? { action: actions } : {}),
  };
}

function scopeToContexts(scope: ProtocolScope): UsageContext[] {
  const concepts = (name: string, values: readonly string[] | undefined) =>
    (values ?? []).map((text) => ({
      code: { system: SCOPE_SYSTEM, code: name },
      valueCodeableConcept: { text },
    }));
  const { min, max } = scope.age_years ?? {};
  const age = {
    code: { system: SCOPE_SYSTEM, code: 'age' },
    valueRange: {
      ...(min === undefined ? {} : { low: quantity(min, 'a') }),
      ...(max === undefined ? {} : { high: quantity(max, 'a') }),
    },
  };
  return [
    ...concepts('modality', scope.modality),
    ...concepts('body-part', scope.body_part),
    ...concepts('view', scope.view),
    ...concepts('contrast', scope.contrast === undefined ? undefined : [scope.contrast]),
    ...concepts('words', scope.words),
    ...(scope.age_years ? [age] : []),
  ];
}

const GOAL_TEXTS = { required: 'What the images must show', excluded: 'What the images must not show' };

function goalOf(part: keyof typeof GOAL_TEXTS, { parameters }: ImagingProtocol): PlanDefinitionGoal | null {
  const target = Object.entries(parameters).flatMap(([name, limit]) =>
    targetsOf(name as ParameterName, limit, part),
  );
  if (target.length === 0) return null;
  return {
    category: { coding: [{ system: PART_SYSTEM, code: part }] },
    description: { text: GOAL_TEXTS[part] },
    target,
  };
}

function targetsOf(
  name: ParameterName,
  limit: ParameterLimit,
  part: keyof typeof GOAL_TEXTS,
): PlanDefinitionGoalTarget[] {
  const definition = definitionOf(name);
  const measure = { coding: [{ system: PARAMETER_SYSTEM, code: name, display: definition.label }] };
  if (definition.kind === 'text') {
    const words = part === 'required' ? limit.one_of : limit.none_of;
    return (words ?? []).map((text) => ({ measure, detailCodeableConcept: { text } }));
  }
  if (part === 'excluded' || (limit.min === undefined && limit.max === undefined)) return [];
  const detailRange = {
    ...(limit.min === undefined ? {} : { low: quantity(limit.min, definition.unit) }),
    ...(limit.max === undefined ? {} : { high: quantity(limit.max, definition.unit) }),
  };
  return [{ measure, detailRange }];
}

const quantity = (value: number, code: string): Quantity => ({ value, unit: code, system: UCUM, code });

function actionOf(part: string, description: string): PlanDefinitionAction {
  return { code: [{ coding: [{ system: PART_SYSTEM, code: part }] }], description };
}
