import { randomUUID } from 'node:crypto';
import type { OperationOutcome } from '@medplum/fhirtypes';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import { Failure, type FailureCode, type FailureKind } from '../kernel/errors.ts';

/** What went wrong, for a client: never a stack, SQL or a value. */
export interface OutcomeAnswer {
  readonly status: number;
  readonly outcome: OperationOutcome;
  /** For the log, where the failure was not one we know. */
  readonly reference: string | null;
}

type IssueType = OperationOutcome['issue'][number]['code'];

/** Kind → HTTP status and FHIR issue type (R4 valueset-issue-type). */
const BY_KIND: Readonly<Record<FailureKind, readonly [number, IssueType]>> = {
  invalid: [400, 'invalid'],
  unsupported: [400, 'not-supported'],
  'not-found': [404, 'not-found'],
  gone: [410, 'deleted'],
  conflict: [409, 'conflict'],
  precondition: [412, 'conflict'],
  'too-large': [413, 'too-long'],
  'not-acceptable': [406, 'not-supported'],
  'media-type': [415, 'not-supported'],
  unauthorized: [401, 'login'],
  forbidden: [403, 'forbidden'],
  busy: [429, 'throttled'],
  unavailable: [503, 'transient'],
  timeout: [504, 'timeout'],
  internal: [500, 'exception'],
};

/** R4 http.html#create: 400 when the body cannot be parsed, 422 when it breaks the rules for its type; so for a patch that does not fit. */
const STATUS_OF_CODE: Partial<Record<FailureCode, number>> = {
  'fhir.validation': 422,
  'fhir.patch': 422,
  'fhir.not-offered': 501,
};

/** What is wrong with a header or a parameter has `http.<name>` as its place (R4 operationoutcome-definitions.html#OperationOutcome.issue.location). */
export function failureToOutcome(error: unknown): OutcomeAnswer {
  if (!(error instanceof Failure)) return unknownFailure('internal');
  if (error.kind === 'internal') return unknownFailure(error.code);
  const [status, type] = BY_KIND[error.kind];
  const issues = error.issues.length > 0 ? error.issues : [{ text: error.message }];
  return {
    status: STATUS_OF_CODE[error.code] ?? status,
    reference: null,
    outcome: {
      resourceType: 'OperationOutcome',
      issue: issues.map((issue) => ({
        severity: 'error',
        code: (issue.type as IssueType | undefined) ?? type,
        details: { coding: [{ system: CODE_SYSTEMS.failure, code: error.code }], text: issue.text },
        ...(issue.at?.startsWith('http.') ? { location: [issue.at] } : {}),
        ...(issue.at ? { expression: [issue.at] } : {}),
      })),
    },
  };
}

/** The reference is all that joins the answer to the log line with the cause. */
function unknownFailure(code: FailureCode): OutcomeAnswer {
  const reference = randomUUID();
  const text = `The server failed. Its log has the cause under ${reference}.`;
  return {
    status: 500,
    reference,
    outcome: {
      resourceType: 'OperationOutcome',
      issue: [
        {
          severity: 'fatal',
          code: 'exception',
          details: { coding: [{ system: CODE_SYSTEMS.failure, code }], text },
        },
      ],
    },
  };
}
