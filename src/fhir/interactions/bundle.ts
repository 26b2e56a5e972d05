import type { Bundle, BundleEntry } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { Places } from '../../kernel/places.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { printJson } from '../resource-json.ts';
import { parseResource, RESOURCE_BYTES_MAX } from '../validate/parse-resource.ts';
import { batch } from './batch.ts';
import type { FhirServer, Interaction } from './interaction.ts';
import { transaction } from './transaction.ts';

/**
 * Bundles that are worked on beside each other. One thread reads them and two or three connections keep PostgreSQL busy with what it makes of them; all
 * that are open are in memory several times, and the collector copies them again and again. The others wait as bytes.
 */
const BUNDLES_AT_ONCE_MAX = 4;
/** A Bundle that takes longer waits for a lock, or is a large one: the next begins beside it. */
const BUNDLE_PATIENCE_MS = 50;
const places = new Places(BUNDLES_AT_ONCE_MAX, BUNDLE_PATIENCE_MS);

/** R4 http.html#transaction: `POST [base]` with a Bundle of type `batch` or `transaction`. */
export const bundle: Interaction = (request, server) => places.run(() => answerTo(request, server));

async function answerTo(request: FhirRequest, server: FhirServer): Promise<FhirAnswer> {
  const resource = parseResource(request.body);
  if (resource.resourceType !== 'Bundle')
    throw refused(
      'POST to the base takes a Bundle of type batch or transaction; send other resources to their type.',
      'Bundle',
    );
  const entries = (resource as Bundle).entry ?? [];
  if (!Array.isArray(entries)) throw refused('Bundle.entry must be a list.', 'Bundle.entry');
  // Only a large body can hold a resource that is too large.
  if ((request.body?.length ?? 0) > RESOURCE_BYTES_MAX) checkSizes(entries);
  if (resource.type === 'batch') return batch(entries, request, server);
  if (resource.type === 'transaction') return transaction(entries, request, server);
  throw refused('The Bundle must be of type batch or transaction.', 'Bundle.type');
}

const refused = (text: string, at: string): Failure =>
  new Failure('fhir.invalid', text, { issues: [{ text, at }] });

/** An entry's resource may be as large as one sent alone. */
function checkSizes(entries: readonly BundleEntry[]): void {
  for (const [at, entry] of entries.entries()) {
    if (!entry?.resource || Buffer.byteLength(printJson(entry.resource)) <= RESOURCE_BYTES_MAX) continue;
    throw new Failure('fhir.too-large', `A resource may have ${RESOURCE_BYTES_MAX} bytes at most.`, {
      issues: [
        {
          text: `a resource may have ${RESOURCE_BYTES_MAX} bytes at most`,
          at: `Bundle.entry[${at}].resource`,
          type: 'too-long',
        },
      ],
    });
  }
}
