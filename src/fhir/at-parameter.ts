import { Failure, type FailureCode } from '../kernel/errors.ts';

/** A failure that says no place yet, with that of a parameter or header: `http.birthdate` (R4 OperationOutcome.issue.location). Others stay as they are. */
export function atParameter(error: unknown, name: string): unknown {
  if (!(error instanceof Failure) || error.issues.length > 0 || name === '') return error;
  const { code, message, retry } = error;
  return new Failure(code, message, { cause: error, retry, issues: [{ text: message, at: `http.${name}` }] });
}

/** A parameter or header of the request means nothing here. */
export function badParameter(name: string, text: string, code: FailureCode = 'fhir.invalid'): Failure {
  return new Failure(code, text, { issues: [{ text, at: `http.${name}` }] });
}
