import type { Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { badParameter } from '../../fhir/at-parameter.ts';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { Failure } from '../../kernel/errors.ts';
import type { CodeSystemView, Concept, ConceptProperty, Designation } from '../systems/code-system-view.ts';
import type { TerminologySources } from '../terminology-sources.ts';
import { askedCodings } from './asked-codings.ts';
import { displayIn } from './displays.ts';
import { OperationParameters, parametersOf } from './operation-parameters.ts';

export const KNOWN = ['code', 'system', 'version', 'coding', 'date', 'displayLanguage', 'property'] as const;
/** Children of one concept that are listed. */
export const CHILDREN_MAX = 1_000;

/** R4 codesystem-operation-lookup.html. Without `property` everything that is known is given. */
export async function lookup(request: OperationRequest, sources: TerminologySources): Promise<Parameters> {
  const parameters = new OperationParameters(request);
  const [coding] = askedCodings(parameters);
  if (!coding?.system) throw badParameter('system', 'Give the system of the code.');
  const version = coding.version ?? parameters.text('version');
  const view = await sources.codeSystem(
    version ? `${coding.system}|${version}` : coding.system,
    request.access,
  );
  if (!view) throw new Failure('terminology.unknown', 'The code system is not here, or not in this version.');
  const concept = (await view.find([coding.code ?? ''])).get(coding.code ?? '');
  if (!concept) throw new Failure('terminology.unknown', 'The code system has no such code.');
  const wanted = parameters.texts('property');
  const wants = (name: string) => wanted.length === 0 || wanted.includes(name);
  const [designations, properties, relatives] = await Promise.all([
    view.designations([concept.id]).then((found) => found.get(concept.id) ?? []),
    view.properties(concept),
    relativesOf(view, concept, wants),
  ]);
  return parametersOf(
    { name: 'name', valueString: view.name },
    view.version === null ? null : { name: 'version', valueString: view.version },
    { name: 'display', valueString: displayIn(concept, designations, parameters.text('displayLanguage')) },
    ...(wants('designation') ? designations.map(toDesignation) : []),
    ...standing(concept)
      .filter(({ code }) => wants(code))
      .map(toPart),
    ...properties.filter(({ code }) => wants(code) && code !== 'inactive').map(toPart),
    ...relatives.map(toPart),
  );
}

const standing = (concept: Concept): ConceptProperty[] => [
  ...(concept.definition ? [{ code: 'definition', type: 'string' as const, value: concept.definition }] : []),
  { code: 'inactive', type: 'boolean', value: String(concept.inactive) },
  ...(concept.abstract ? [{ code: 'notSelectable', type: 'boolean' as const, value: 'true' }] : []),
];

async function relativesOf(
  view: CodeSystemView,
  concept: Concept,
  wants: (name: string) => boolean,
): Promise<ConceptProperty[]> {
  const parents = wants('parent') ? await view.parents(concept) : [];
  const children = wants('child') ? (await view.children(concept)).slice(0, CHILDREN_MAX) : [];
  const found = new Map((await view.read([...parents, ...children])).map((one) => [one.id, one.code]));
  const named = (code: string, ids: readonly number[]) =>
    ids.map((id) => ({ code, type: 'code' as const, value: found.get(id) ?? '' }));
  return [...named('parent', parents), ...named('child', children)];
}

function toDesignation({ language, use, value }: Designation): ParametersParameter {
  return {
    name: 'designation',
    part: [
      ...(language ? [{ name: 'language', valueCode: language }] : []),
      ...(use ? [{ name: 'use', valueCoding: use }] : []),
      { name: 'value', valueString: value },
    ],
  };
}

function toPart({ code, type, value }: ConceptProperty): ParametersParameter {
  return {
    name: 'property',
    part: [
      { name: 'code', valueCode: code },
      { name: 'value', ...typedValue(type, value) },
    ],
  };
}

function typedValue(type: ConceptProperty['type'], value: string): Partial<ParametersParameter> {
  switch (type) {
    case 'code':
      return { valueCode: value };
    case 'Coding': {
      const [system, code] = value.split('|', 2);
      return { valueCoding: { ...(system ? { system } : {}), ...(code ? { code } : {}) } };
    }
    case 'integer':
      return { valueInteger: Number(value) };
    case 'decimal':
      return { valueDecimal: Number(value) };
    case 'boolean':
      return { valueBoolean: value === 'true' };
    case 'dateTime':
      return { valueDateTime: value };
    default:
      return { valueString: value };
  }
}
