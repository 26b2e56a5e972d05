import type { InternalSchemaElement } from '@medplum/core';
import type { FailureIssue } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';

/**
 * R4 references.html: the form of a literal reference, the types the element allows, and `#id` that must name a contained resource.
 * Absolute URLs to other servers are only checked for their form.
 */
export function checkReference(
  value: Readonly<Record<string, unknown>>,
  element: InternalSchemaElement,
  path: string,
  contained: ReadonlySet<string>,
): FailureIssue[] {
  const { reference } = value;
  if (typeof reference !== 'string') return [];
  const issue = (text: string): FailureIssue[] => [{ text, at: `${path}.reference`, type: 'value' }];
  if (reference.startsWith('#')) {
    const known = reference === '#' || contained.has(reference.slice(1));
    return known ? [] : issue('The reference names a contained resource that is not there.');
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(reference)) {
    return /^\S+$/.test(reference) ? [] : issue('The reference is not a URL.');
  }
  const match =
    /^([A-Z][A-Za-z]+)(?:\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?|\?\S+)$/.exec(
      reference,
    );
  const type = match?.[1] ?? '';
  if (!definitions().resourceTypes.includes(type))
    return issue('A reference is Type/id, with a type that FHIR R4 knows.');
  return allowedTypes(element)?.has(type) === false
    ? issue('The element does not allow a reference to this type.')
    : [];
}

/** Null: any type, or a profile this server does not know. */
function allowedTypes(element: InternalSchemaElement): ReadonlySet<string> | null {
  const profiles = element.type.find((type) => type.code === 'Reference')?.targetProfile;
  if (!profiles) return null;
  const names = profiles.map((url) => url.slice(BASE.length));
  const plain = profiles.every((url) => url.startsWith(BASE)) && !names.includes('Resource');
  return plain ? new Set(names) : null;
}

const BASE = 'http://hl7.org/fhir/StructureDefinition/';
