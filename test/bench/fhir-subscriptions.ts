import { setTimeout as sleep } from 'node:timers/promises';
import type { Bundle } from '@medplum/fhirtypes';
import type { FhirTarget } from './fhir-target.ts';

/** Activation is a job of the server; it takes milliseconds each. */
const ACTIVATION_WAIT_MS_MAX = 30_000;

/**
 * Subscriptions that every write of an Observation or a report is held against, and that none of them meets: the matching is measured, not the
 * deliveries.
 */
export async function activeSubscriptions(target: FhirTarget, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const criteria =
      n % 2 === 0
        ? `Observation?code=http://example.org/none|c${n}`
        : `DiagnosticReport?status=cancelled&code=c${n}`;
    const { status, body } = await target.send('POST', 'Subscription', {
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'benchmark',
      criteria,
      channel: { type: 'rest-hook', endpoint: 'http://127.0.0.1:9/none' },
    });
    if (status !== 201) throw new Error(`a Subscription answered ${status}: ${JSON.stringify(body)}`);
  }
  const end = Date.now() + ACTIVATION_WAIT_MS_MAX;
  while (count > 0) {
    const { body } = await target.send('GET', 'Subscription?status=active&_summary=count');
    if (((body as Bundle).total ?? 0) >= count) break;
    if (Date.now() > end) throw new Error('the Subscriptions did not become active');
    await sleep(50);
  }
  target.close();
}
