import type { CapabilityStatement, CapabilityStatementRestResource } from '@medplum/fhirtypes';
import { definitions } from '../definitions/definitions.ts';
import type { Operation, OperationRegistry } from '../operation-registry.ts';
import { searchParametersOf } from '../search/search-parameters.ts';
import type { FhirServer, Interaction } from './interaction.ts';

/** R4 http.html#capabilities: `GET [base]/metadata`, without a token. Printed once: it does not change while the server runs. */
export const capabilities: Interaction = async (_request, server) => {
  let printed = printedFor.get(server);
  if (printed === undefined) {
    printed = JSON.stringify(statement(server));
    printedFor.set(server, printed);
  }
  return { status: 200, body: printed };
};

const printedFor = new WeakMap<FhirServer, string>();

function statement({ store, operations }: FhirServer): CapabilityStatement {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: new Date().toISOString(),
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'json'],
    software: { name: 'Prelim' },
    implementation: { description: 'Clinical integration server for imaging AI', url: store.base },
    rest: [
      {
        mode: 'server',
        security: {
          service: [
            {
              coding: [
                {
                  system: 'http://terminology.hl7.org/CodeSystem/restful-security-service',
                  code: 'SMART-on-FHIR',
                },
              ],
            },
          ],
        },
        resource: definitions().resourceTypes.map((type) => resourceOf(type, operations)),
        interaction: [{ code: 'batch' }, { code: 'transaction' }],
        ...operationsOf(operations.all().filter((operation) => operation.level === 'system')),
      },
    ],
  };
}

function resourceOf(type: string, registry: OperationRegistry): CapabilityStatementRestResource {
  const operations = registry.all();
  const documentation = registry.descriptionOf(type);
  const parameters = [...searchParametersOf(type).values()];
  const references = parameters.filter((parameter) => parameter.kind === 'reference');
  return {
    type: type as CapabilityStatementRestResource['type'],
    ...(documentation ? { documentation } : {}),
    interaction: INTERACTIONS.map((code) => ({ code })),
    versioning: 'versioned-update',
    readHistory: true,
    updateCreate: true,
    conditionalCreate: true,
    conditionalRead: 'full-support',
    ...(references.length > 0
      ? { searchInclude: references.map((parameter) => `${type}:${parameter.code}`) }
      : {}),
    searchParam: parameters.map(({ code, kind, url }) => ({
      name: code,
      type: kind,
      ...(url ? { definition: url } : {}),
    })),
    ...operationsOf(
      operations.filter((operation) => operation.level !== 'system' && operation.type === type),
    ),
  };
}

const INTERACTIONS = [
  'read',
  'vread',
  'update',
  'delete',
  'history-instance',
  'create',
  'search-type',
] as const;

/** Empty arrays are not allowed in FHIR JSON. */
function operationsOf(operations: readonly Operation[]): {
  operation?: { name: string; definition: string }[];
} {
  if (operations.length === 0) return {};
  return {
    operation: operations.map(({ name, type }) => ({
      name: name.slice(1),
      definition: `https://prelim.example/fhir/OperationDefinition/${[type, name.slice(1)].filter(Boolean).join('-')}`,
    })),
  };
}
