import { Failure } from '../kernel/errors.ts';

/** A failure that says no place yet, with that of a parameter or header: `http.birthdate` (R4 OperationOutcome.issue.location). Others stay as they are. */
export function atParameter(error: unknown, name: string): unknown {
  if (!(error instanceof Failure) || error.issues.length > 0 || name === '') return error;
  const { code, message, retry } = error;
  return new Failure(code, message, { cause: error, retry, issues: [{ text: message, at: `http.${name}` }] });
}
