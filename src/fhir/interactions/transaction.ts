import type { BundleEntry } from '@medplum/fhirtypes';
import { Failure, type FailureIssue } from '../../kernel/errors.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { broughtDefinitions } from './brought-definitions.ts';
import { answerBundle } from './bundle-entry.ts';
import type { FhirServer } from './interaction.ts';
import { runSteps } from './run-steps.ts';
import { type Step, stepOf } from './transaction-step.ts';
import { writeOnce } from './write-once.ts';

/**
 * R4 http.html#trules: all entries or none. They are read and validated first (`transaction-step.ts`), then run in one database transaction in the
 * order DELETE, POST, PUT and PATCH, GET and HEAD (`run-steps.ts`); the answers come in the order of the entries.
 */
export async function transaction(
  entries: readonly BundleEntry[],
  request: FhirRequest,
  server: FhirServer,
): Promise<FhirAnswer> {
  const steps: Step[] = [];
  const brought = broughtDefinitions(entries);
  const beside = { base: server.store.base, sql: server.database, brought };
  for (const [at, entry] of entries.entries())
    steps.push(await naming(at, () => stepOf(entry, request, at, beside)));
  checkFullUrls(steps);
  const answers = await writeOnce(server, (tx) =>
    runSteps(steps, { tx, server, access: request.access, naming, brought }),
  );
  return answerBundle('transaction-response', answers);
}

/** bdl-7: references to it could mean either. */
function checkFullUrls(steps: readonly Step[]): void {
  const seen = new Set<string>();
  for (const { fullUrl, kind, at } of steps) {
    if (fullUrl === null || kind === 'read') continue;
    if (seen.has(fullUrl)) {
      throw new Failure('fhir.invalid', 'Two entries have the same fullUrl.', {
        issues: [
          {
            text: 'an entry before this has the same fullUrl',
            at: `Bundle.entry[${at}].fullUrl`,
            type: 'duplicate',
          },
        ],
      });
    }
    seen.add(fullUrl);
  }
}

/** Says which entry a failure is about. */
async function naming<T>(at: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const issues: readonly FailureIssue[] =
      error.issues.length > 0 ? error.issues : [{ text: error.message }];
    throw new Failure(error.code, error.message, {
      cause: error,
      retry: error.retry,
      issues: issues.map((issue) => ({
        ...issue,
        at: `Bundle.entry[${at}]${withinEntry(issue.at)}`,
      })),
    });
  }
}

/** `Patient.birthDate` as seen from the entry: `.resource.birthDate`; what is wrong with a parameter stands in the request. */
function withinEntry(place = ''): string {
  if (place.startsWith('http.')) return '.request';
  const [, rest] = /^[A-Z][A-Za-z]+(.*)$/s.exec(place) ?? [];
  return rest === undefined ? '' : `.resource${rest}`;
}
