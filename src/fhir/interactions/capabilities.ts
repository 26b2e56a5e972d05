import type { CapabilityStatement, CapabilityStatementRestResource } from '@medplum/fhirtypes';
import { definitions } from '../definitions/definitions.ts';
import type { Operation, OperationRegistry } from '../operation-registry.ts';
import { siteParameterChanges } from '../search/parameters/site-parameters.ts';
import { searchParametersOf } from '../search/search-parameters.ts';
import { CONDITIONAL_DELETE_MAX } from './conditional-delete.ts';
import type { FhirServer, Interaction, Offered } from './interaction.ts';
import { PATCH_FORMATS } from './patch-body.ts';

/**
 * R4 http.html#capabilities: `GET [base]/metadata`, without a token. Nothing in it is written by hand that something else decides: interactions come from the
 * route table, parameters from the search registry, operations from theirs. Printed once, and again when a site's own search parameters change.
 */
export const capabilities: Interaction = async (_request, server) => {
  let printed = printedFor.get(server);
  if (printed?.changes !== siteParameterChanges()) {
    printed = { changes: siteParameterChanges(), text: JSON.stringify(statement(server)) };
    printedFor.set(server, printed);
  }
  return { status: 200, body: printed.text };
};

const printedFor = new WeakMap<FhirServer, { readonly changes: number; readonly text: string }>();

function statement({ store, operations, offered }: FhirServer): CapabilityStatement {
  const includes = includesByTarget(operations);
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: new Date().toISOString(),
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'json'],
    patchFormat: [...PATCH_FORMATS],
    software: { name: 'Prelim' },
    implementation: { description: 'Clinical integration server for imaging AI', url: store.base },
    rest: [
      {
        mode: 'server',
        ...(operations.restExtensions().length > 0 ? { extension: operations.restExtensions() } : {}),
        documentation: DOCUMENTATION,
        security: operations.restSecurity() ?? { service: [{ coding: [SMART] }] },
        resource: definitions().resourceTypes.map((type) => ({
          ...resourceOf(type, operations, offered),
          ...(includes.get(type) ? { searchRevInclude: includes.get(type) as string[] } : {}),
        })),
        interaction: SYSTEM.filter((code) => offered.has(code)).map((code) => ({ code })),
        ...operationsOf(operations.all().filter((operation) => operation.level === 'system')),
        ...(offered.has('search-compartment') ? { compartment: compartments() } : {}),
      },
    ],
  };
}

const DOCUMENTATION = [
  'JSON only.',
  `A conditional delete removes up to ${CONDITIONAL_DELETE_MAX} resources; when more match, none.`,
  '_summary (true, text, data, count) and _elements work for reads, searches and histories.',
  '_text, _content and _filter are not offered.',
].join(' ');

const SMART = {
  system: 'http://terminology.hl7.org/CodeSystem/restful-security-service',
  code: 'SMART-on-FHIR',
};

/** R4 valueset-system-restful-interaction */
const SYSTEM = ['transaction', 'batch', 'search-system', 'history-system'] as const;

/** R4 valueset-type-restful-interaction */
const TYPE = [
  'read',
  'vread',
  'update',
  'patch',
  'delete',
  'history-instance',
  'history-type',
  'create',
  'search-type',
] as const;

const compartments = (): string[] =>
  [...definitions().compartments.keys()].map(
    (code) => `http://hl7.org/fhir/CompartmentDefinition/${code.charAt(0).toLowerCase()}${code.slice(1)}`,
  );

function resourceOf(
  type: string,
  registry: OperationRegistry,
  offered: Offered,
): CapabilityStatementRestResource {
  const documentation = registry.descriptionOf(type);
  const source = registry.sourceOf(type);
  if (source) {
    return {
      type: type as CapabilityStatementRestResource['type'],
      ...supportOf(type, registry),
      ...(documentation ? { documentation } : {}),
      interaction: [{ code: 'read' }, { code: 'search-type' }],
      searchParam: source.searchParameters.map(({ name, type: kind }) => ({ name, type: kind })),
    };
  }
  const parameters = [...searchParametersOf(type).values()];
  const references = parameters.filter((parameter) => parameter.kind === 'reference');
  const operations = registry.all().filter(({ level, type: of }) => level !== 'system' && of === type);
  return {
    type: type as CapabilityStatementRestResource['type'],
    ...supportOf(type, registry),
    ...(documentation ? { documentation } : {}),
    interaction: TYPE.filter((code) => offered.has(code)).map((code) => ({ code })),
    versioning: 'versioned-update',
    readHistory: offered.has('vread'),
    updateCreate: offered.has('update'),
    conditionalCreate: offered.has('create'),
    conditionalRead: 'full-support',
    conditionalUpdate: offered.has('conditional-update'),
    conditionalDelete: offered.has('conditional-delete') ? 'multiple' : 'not-supported',
    ...(references.length > 0 ? { searchInclude: references.map(({ code }) => `${type}:${code}`) } : {}),
    searchParam: parameters.map(({ code, kind, url }) => ({
      name: code,
      type: kind,
      ...(url ? { definition: url } : {}),
    })),
    ...operationsOf(operations),
  };
}

/** Which references of which types may point here: a parameter that names its targets counts for those only. */
function includesByTarget(registry: OperationRegistry): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  for (const type of definitions().resourceTypes) {
    if (registry.sourceOf(type)) continue;
    for (const { code, kind, targets } of searchParametersOf(type).values()) {
      if (kind !== 'reference') continue;
      for (const target of targets) found.set(target, [...(found.get(target) ?? []), `${type}:${code}`]);
    }
  }
  return found;
}

function supportOf(type: string, registry: OperationRegistry): Partial<CapabilityStatementRestResource> {
  const support = registry.supportOf(type);
  if (!support) return {};
  return {
    ...(support.extensions.length > 0 ? { extension: [...support.extensions] } : {}),
    ...(support.profiles.length > 0 ? { supportedProfile: [...support.profiles] } : {}),
  };
}

/** Empty arrays are not allowed in FHIR JSON. */
function operationsOf(operations: readonly Operation[]): {
  operation?: { name: string; definition: string }[];
} {
  if (operations.length === 0) return {};
  // On a type and on an instance: one operation, named once.
  const byName = new Map(operations.map((operation) => [operation.name, operation]));
  return {
    operation: [...byName.values()].map(({ name, type, definition }) => ({
      name: name.slice(1),
      definition:
        definition ??
        `https://prelim.example/fhir/OperationDefinition/${[type, name.slice(1)].filter(Boolean).join('-')}`,
    })),
  };
}
