import type { CodeSystem, CodeSystemConcept } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { Designation, PropertyType } from '../systems/code-system-view.ts';
import { toProperty } from '../systems/memory-code-system.ts';
import { meaningOf } from '../systems/property-meaning.ts';
import { JsonParts } from './json-parts.ts';
import type { SourceFile } from './source-files.ts';
import type { ReadTerminology, Staging, SystemDescription } from './staging.ts';

/** A CodeSystem resource of any size (R4 codesystem.html), read concept by concept. */
export function readFhirJson(file: SourceFile): ReadTerminology {
  return async (into) => {
    const reader = new JsonParts('concept');
    const types: Record<string, PropertyType> = {};
    const nested = new WeakMap<object, string[]>();
    for await (const chunk of file.text()) {
      for (const { value, parent } of reader.push(chunk)) {
        const concept = value as unknown as CodeSystemConcept;
        for (const child of nested.get(value) ?? []) await into.parent(child, concept.code ?? '');
        if (parent) nestIn(nested, parent, concept.code ?? '');
        await stage(concept, into, types);
      }
    }
    reader.end();
    return describe(reader.root as unknown as CodeSystem, types);
  };
}

/** In place: copying the list for each child of a wide concept would take the square of their number. */
function nestIn(nested: WeakMap<object, string[]>, parent: object, code: string): void {
  const codes = nested.get(parent);
  if (codes) codes.push(code);
  else nested.set(parent, [code]);
}

async function stage(
  concept: CodeSystemConcept,
  into: Staging,
  types: Record<string, PropertyType>,
): Promise<void> {
  const code = concept.code ?? '';
  let inactive = false;
  let abstract = false;
  for (const { code: name, value, type } of (concept.property ?? []).flatMap(toProperty)) {
    const meaning = meaningOf(name, undefined);
    if (meaning === 'inactive' || meaning === 'status') inactive ||= /^(true|inactive|retired)$/.test(value);
    if (meaning === 'abstract') abstract ||= value === 'true';
    if (meaning === 'parent') await into.parent(code, value);
    else if (meaning === 'child') await into.parent(value, code);
    else {
      types[name] ??= type;
      await into.property(code, name, value);
    }
  }
  const { display = code, definition = null } = concept;
  await into.concept({ code, display, definition, inactive, abstract });
  for (const { language, use, value } of concept.designation ?? []) {
    const one: Designation = { language: language ?? null, use: use ?? null, value: value ?? '' };
    await into.designation(code, one);
  }
}

function describe(head: CodeSystem, properties: Record<string, PropertyType>): SystemDescription {
  if (head.resourceType !== 'CodeSystem')
    throw new Failure(
      'terminology.import',
      'The file is not a CodeSystem. Other resources are written over FHIR.',
    );
  return {
    url: head.url ?? '',
    version: head.version ?? '',
    name: head.name ?? 'CodeSystem',
    title: head.title ?? head.name ?? head.url ?? '',
    ...(head.copyright ? { copyright: head.copyright } : {}),
    caseSensitive: head.caseSensitive !== false,
    properties,
  };
}
