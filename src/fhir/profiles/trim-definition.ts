import type { ElementDefinition, StructureDefinition } from '@medplum/fhirtypes';

/**
 * Of a StructureDefinition only what validation asks: a published profile of 150 kB becomes 5. Elements of the snapshot that repeat the
 * base definition are kept as far as their cardinality and type go; `compile-profile.ts` decides what they demand.
 */
export function trimDefinition(definition: StructureDefinition): StructureDefinition {
  const { url, version, type, kind, derivation, baseDefinition, name, title, status } = definition;
  const kept = {
    ...{ resourceType: 'StructureDefinition', url, version, type, kind, derivation, baseDefinition },
    ...{ name, title, status, abstract: false },
  };
  const elements = definition.snapshot?.element ?? definition.differential?.element ?? [];
  const form = definition.snapshot ? 'snapshot' : 'differential';
  return {
    ...kept,
    [form]: { element: Array.isArray(elements) ? elements.map(trimElement) : [] },
  } as unknown as StructureDefinition;
}

const KEPT = ['id', 'path', 'sliceName', 'min', 'max', 'slicing', 'maxLength'] as const;

function trimElement(element: ElementDefinition): ElementDefinition {
  const { base, type, binding, constraint } = element;
  const trimmed: Record<string, unknown> = {};
  for (const key of KEPT) if (element[key] !== undefined) trimmed[key] = element[key];
  for (const [key, value] of Object.entries(element))
    if (/^(?:fixed|pattern)[A-Z]/.test(key)) trimmed[key] = value;
  if (base) trimmed['base'] = { min: base.min, max: base.max };
  if (type)
    trimmed['type'] = type.map(({ code, profile, targetProfile }) => ({ code, profile, targetProfile }));
  if (binding?.strength === 'required' || binding?.strength === 'extensible')
    trimmed['binding'] = { strength: binding.strength, valueSet: binding.valueSet };
  const outermost = maxValueSetOf(binding);
  if (outermost)
    trimmed['binding'] = {
      strength: binding?.strength,
      valueSet: binding?.valueSet,
      extension: [{ url: MAX_VALUE_SET, valueCanonical: outermost }],
    };
  const own = constraint?.filter((one) => !REPEATED.test(one.key ?? ''));
  if (own && own.length > 0)
    trimmed['constraint'] = own.map(({ key, severity, human, expression, source }) => ({
      ...{ key, severity, human, expression, source },
    }));
  return trimmed as unknown as ElementDefinition;
}

/** R4 extension-elementdefinition-maxvalueset.html; older definitions spell it as uri. */
export function maxValueSetOf(binding: ElementDefinition['binding']): string | undefined {
  const found = binding?.extension?.find(({ url }) => url === MAX_VALUE_SET);
  const canonical = found?.valueCanonical ?? found?.valueUri;
  return canonical?.startsWith(ALL_LANGUAGES) ? undefined : canonical;
}

/** On the language of every resource. BCP 47 makes tags by rules; there is no list to hold them against. */
const ALL_LANGUAGES = 'http://hl7.org/fhir/ValueSet/all-languages';

const MAX_VALUE_SET = 'http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet';

/** On every element of every snapshot. */
const REPEATED = /^(?:ele-1|ext-1|dom-[2-6])$/;
