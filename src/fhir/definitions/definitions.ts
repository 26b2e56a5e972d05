import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getAllDataTypes, type InternalTypeSchema } from '@medplum/core';
import type { StructureDefinition } from '@medplum/fhirtypes';
import { cacheFolder, DEFINITION_FILES, findDefinitions } from './definition-files.ts';
import type { RequiredSets } from './expand-required-sets.ts';

/** A published search parameter, as far as we use it. */
export interface PublishedParameter {
  readonly code: string;
  readonly base: readonly string[];
  readonly type:
    | 'number'
    | 'date'
    | 'string'
    | 'token'
    | 'reference'
    | 'composite'
    | 'quantity'
    | 'uri'
    | 'special';
  readonly expression?: string;
  readonly target?: readonly string[];
  readonly url: string;
  /** The parts of a composite: the URL of the parameter each one is, and where it lies in the composite's element. */
  readonly component?: readonly { readonly definition: string; readonly expression: string }[];
}

export interface Definitions {
  readonly resourceTypes: readonly string[];
  readonly searchParameters: readonly PublishedParameter[];
  readonly requiredSets: ReadonlyMap<string, RequiredSet>;
  /** R4 compartmentdefinition.html: `Patient` → `Observation` → the search parameters that put one into the compartment. */
  readonly compartments: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;
  /** Profiles and extensions that R4 itself publishes (`vitalsigns`, `patient-birthPlace`), trimmed; read when asked for. */
  readonly profiles: { find(url: string): StructureDefinition | null };
}

export interface RequiredSet {
  readonly codes: ReadonlySet<string>;
  /** `system|code` */
  readonly codings: ReadonlySet<string>;
}

let loaded: Definitions | null = null;

/**
 * The R4 definitions. The first call reads the trimmed files (and makes them when they are missing) and hooks the type
 * schemas into the type table of `@medplum/core`, each parsed when it is first asked for.
 */
export async function loadDefinitions(): Promise<Definitions> {
  if (loaded) return loaded;
  let folder = findDefinitions();
  if (folder === null) {
    const { buildDefinitions } = await import('./build-definitions.ts');
    buildDefinitions(cacheFolder());
    folder = cacheFolder();
  }
  loaded ??= readDefinitions(folder);
  return loaded;
}

/** The definitions, once `loadDefinitions` has run. */
export function definitions(): Definitions {
  if (!loaded) throw new Error('The FHIR definitions are not loaded yet: await loadDefinitions() at start.');
  return loaded;
}

function readDefinitions(folder: string): Definitions {
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const lines = read(DEFINITION_FILES.types).split('\n');
  const names = hookTypes(lines);
  const searchParameters = JSON.parse(read(DEFINITION_FILES.searchParameters)) as PublishedParameter[];
  const sets = JSON.parse(read(DEFINITION_FILES.valueSets)) as RequiredSets;
  const requiredSets = new Map(Object.entries(sets).map(([url, systems]) => [url, requiredSet(systems)]));
  const published = JSON.parse(read(DEFINITION_FILES.compartments)) as Record<
    string,
    Record<string, string[]>
  >;
  const compartments = new Map(
    Object.entries(published).map(([code, types]) => [code, new Map(Object.entries(types))]),
  );
  return {
    resourceTypes: names,
    searchParameters,
    requiredSets,
    compartments,
    profiles: lazyProfiles(() => read(DEFINITION_FILES.profiles)),
  };
}

/** First line: URL → its line. Read, and each parsed, when it is first asked for. */
function lazyProfiles(text: () => string): Definitions['profiles'] {
  let lines: string[] | null = null;
  let index = new Map<string, number>();
  return {
    find: (url) => {
      if (!lines) {
        lines = text().split('\n');
        index = new Map(Object.entries(JSON.parse(lines[0] ?? '{}') as Record<string, number>));
      }
      const line = index.get(url);
      return line === undefined ? null : (JSON.parse(lines[line] ?? 'null') as StructureDefinition);
    },
  };
}

export function requiredSet(systems: Record<string, string[]>): RequiredSet {
  const codings = Object.entries(systems).flatMap(([system, codes]) =>
    codes.map((code) => `${system}|${code}`),
  );
  return { codes: new Set(Object.values(systems).flat()), codings: new Set(codings) };
}

/** Puts a getter per type into the table that the validator and FHIRPath look into. Gives the names of the resource types. */
function hookTypes(lines: string[]): string[] {
  const table = getAllDataTypes();
  const index = JSON.parse(lines[0] ?? '{}') as Record<string, number>;
  const resources: string[] = [];
  for (const [name, position] of Object.entries(index)) {
    const line = lines[position + 1] ?? '';
    if (
      line.startsWith(`[{"name":"${name}"`) &&
      ABSTRACT.has(name) === false &&
      /^[^{]*\{[^{]*"kind":"resource"/.test(line)
    ) {
      resources.push(name);
    }
    Object.defineProperty(table, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        inflate(line, table);
        return table[name];
      },
      set: (schema: InternalTypeSchema) => replace(table, name, schema),
    });
  }
  return resources.sort();
}

const ABSTRACT = new Set(['Resource', 'DomainResource']);

type Trimmed = InternalTypeSchema & { summary: string[]; mandatory: string[] };

function inflate(line: string, table: Record<string, InternalTypeSchema>): void {
  const schemas = JSON.parse(line) as Trimmed[];
  const [root, ...inner] = schemas as [Trimmed, ...Trimmed[]];
  for (const schema of schemas) {
    for (const element of Object.values(schema.elements)) {
      element.description = '';
      if (element.max === -1) element.max = Number.POSITIVE_INFINITY;
    }
    schema.innerTypes = [];
    replace(table, schema.name, schema);
  }
  root.innerTypes = inner;
  root.summaryProperties = new Set(root.summary);
  root.mandatoryProperties = new Set(root.mandatory);
  for (const schema of inner) {
    schema.parentType = root;
    schema.summaryProperties = new Set(schema.summary);
  }
}

function replace(table: object, name: string, schema: InternalTypeSchema): void {
  Object.defineProperty(table, name, { value: schema, writable: true, configurable: true, enumerable: true });
}
