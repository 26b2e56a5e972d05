import type { BundleEntry } from '@medplum/fhirtypes';
import { failureToOutcome } from '../failure-to-outcome.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { answerBundle, entryRequest } from './bundle-entry.ts';
import type { FhirServer } from './interaction.ts';

/** R4 http.html#brules: every entry for itself, as if sent alone; a failed one does not touch the others. */
export async function batch(
  entries: readonly BundleEntry[],
  request: FhirRequest,
  server: FhirServer,
): Promise<FhirAnswer> {
  const answers: FhirAnswer[] = [];
  for (const entry of entries) answers.push(await runEntry(entry, request, server));
  return answerBundle('batch-response', answers);
}

async function runEntry(entry: BundleEntry, request: FhirRequest, server: FhirServer): Promise<FhirAnswer> {
  try {
    return await server.interact(entryRequest(entry, request, server.store.base));
  } catch (error) {
    const { status, outcome } = failureToOutcome(error);
    return { status, body: JSON.stringify(outcome) };
  }
}
