import type { Subscription } from '@medplum/fhirtypes';
import type { Settings } from '../config/settings.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import type { Job, JobHandler, JobOutcome } from '../queue/job.ts';
import { HOOK_QUEUE, type HookDue } from './match-change.ts';
import { readSubscription } from './subscription-criteria.ts';

/** A listener that has not answered by then is asked again later. */
export const HOOK_TIMEOUT_MS = 10_000;
/** With back-off up to a minute: about a day of patience. */
const HOOK_ATTEMPTS_MAX = 1_440;

/**
 * Delivers one R4 rest-hook (subscription.html §2.46.6): without a payload type an empty POST to the endpoint; with one, the version that
 * matched, as an update: `PUT <endpoint>/<type>/<id>`. Redirects are not followed: the body would go where nobody
 * allowed it to.
 */
export function restHookHandler(
  store: ResourceStore,
  settings: Pick<Settings, 'baseUrl' | 'SUBSCRIPTION_HOSTS'>,
): JobHandler<HookDue> {
  return {
    queue: HOOK_QUEUE,
    concurrency: 8,
    attemptsMax: HOOK_ATTEMPTS_MAX,
    async run(job: Job<HookDue>): Promise<JobOutcome> {
      const kept = await store.read('Subscription', job.payload.subscriptionId);
      const subscription = kept && !kept.deleted ? kept.parse<Subscription>() : null;
      if (subscription?.status !== 'active') return { kind: 'done' }; // switched off meanwhile
      const { target } = readSubscription(subscription, settings.baseUrl, settings.SUBSCRIPTION_HOSTS);
      if (target.kind !== 'rest-hook') return { kind: 'done' };
      const status = await send(target.endpoint, subscription, job.payload, store);
      if (status >= 200 && status < 300) return { kind: 'done' };
      throw new Failure(
        'subscription.not-delivered',
        `The listener of Subscription/${subscription.id} answered ${status}.`,
      );
    },
  };
}

async function send(
  endpoint: URL,
  subscription: Subscription,
  due: HookDue,
  store: ResourceStore,
): Promise<number> {
  const payload = subscription.channel.payload;
  const headers = new Headers();
  for (const line of subscription.channel.header ?? []) {
    const [name = '', ...value] = line.split(':');
    if (!FORBIDDEN_HEADERS.test(name.trim())) headers.append(name.trim(), value.join(':').trim());
  }
  const request: RequestInit = {
    method: 'POST',
    headers,
    redirect: 'error',
    signal: AbortSignal.timeout(HOOK_TIMEOUT_MS),
  };
  let url = endpoint.href;
  if (payload) {
    const version = await store.readVersion(due.type, due.id, Number(due.versionId));
    if (!version || version.deleted) return 200; // gone meanwhile: nothing to tell
    headers.set('Content-Type', payload.includes('fhir+json') ? 'application/fhir+json' : payload);
    request.method = 'PUT';
    request.body = version.json;
    url = `${endpoint.href.replace(/\/$/, '')}/${due.type}/${due.id}`;
  }
  try {
    const response = await fetch(url, request);
    await response.body?.cancel();
    return response.status;
  } catch (cause) {
    throw new Failure(
      'subscription.not-delivered',
      `The listener of Subscription/${subscription.id} could not be reached.`,
      { cause },
    );
  }
}

/** These are the connection's own business. */
const FORBIDDEN_HEADERS = /^(host|content-length|transfer-encoding|connection|cookie|)$/i;
