import {
  OperationOutcomeError,
  type TypedValueWithPath,
  validateResource as validateShape,
} from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { Failure, type FailureIssue } from '../../kernel/errors.ts';
import { checkBindings } from './check-bindings.ts';
import { checkElements, ISSUES_MAX } from './check-elements.ts';
import { RESOURCE_BYTES_MAX } from './parse-resource.ts';

/**
 * Validates a resource against the R4 base definitions: shape, cardinality and invariants (`@medplum/core`), then what that lets
 * through: required codes, patterns, references, empty values. Throws one `fhir.validation` that names all faults by
 * their place, never by their value.
 */
export function validateResource(resource: Resource): void {
  const tokens: Record<string, TypedValueWithPath[]> = {};
  const issues = [...checkElements(resource)];
  // A document the first walk finds broken (too deep, bad types) could make the validator throw or loop.
  if (issues.length === 0) issues.push(...shapeIssues(resource, tokens), ...checkBindings(tokens));
  if (issues.length === 0) return;
  const shown = issues.slice(0, ISSUES_MAX);
  throw new Failure(
    'fhir.validation',
    `The ${resource.resourceType} has ${issues.length} fault(s); see the issues.`,
    {
      issues: shown,
    },
  );
}

function shapeIssues(resource: Resource, tokens: Record<string, TypedValueWithPath[]>): FailureIssue[] {
  try {
    validateShape(resource, { collect: { tokens }, base64BinaryMaxBytes: RESOURCE_BYTES_MAX });
    return [];
  } catch (error) {
    if (!(error instanceof OperationOutcomeError)) {
      // The validator meets some malformed input with a plain TypeError or RangeError.
      return [{ text: 'The structure cannot be understood.', at: resource.resourceType, type: 'structure' }];
    }
    return error.outcome.issue
      .filter((issue) => issue.severity === 'error' || issue.severity === 'fatal')
      .map((issue) => ({
        text: wordsOf(issue.details?.text ?? 'invalid'),
        at: issue.expression?.[0] ?? resource.resourceType,
        type: issue.code ?? 'invalid',
      }));
  }
}

/** Of the validator's own words only those are passed on that cannot hold a value: keys and numbers stay out. */
function wordsOf(text: string): string {
  return text.replace(/"[^"]*"/g, 'value').slice(0, 200);
}
