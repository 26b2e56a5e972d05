import type { Subscription } from '@medplum/fhirtypes';
import { Failure } from '../kernel/errors.ts';

/** A Subscription as the matcher needs it. */
export interface ActiveSubscription {
  readonly id: string;
  readonly type: string;
  /** Search parameters, without the type and the question mark. */
  readonly query: string;
  readonly target: SubscriptionTarget;
}

export type SubscriptionTarget =
  /** Our own operation: a job in this process or another worker, never an HTTP call. */
  | { readonly kind: 'analyze'; readonly model: string }
  | { readonly kind: 'rest-hook'; readonly endpoint: URL };

/**
 * Reads criteria and endpoint of an R4 Subscription.
 *
 * @throws Failure `fhir.invalid` or `fhir.unsupported` that says what is offered
 */
export function readSubscription(
  subscription: Subscription,
  baseUrl: string,
  hosts: readonly string[],
): ActiveSubscription {
  const match = /^([A-Z][A-Za-z]{1,63})(?:\?(.*))?$/.exec(subscription.criteria);
  if (!match?.[1]) {
    throw new Failure(
      'fhir.invalid',
      'Subscription.criteria must read like "ImagingStudy?status=available": one resource type and search parameters.',
      {
        issues: [{ at: 'Subscription.criteria', text: 'is no search on one resource type' }],
      },
    );
  }
  if (subscription.channel.type !== 'rest-hook') {
    throw new Failure('fhir.unsupported', 'Only channels of type rest-hook are offered.', {
      issues: [{ at: 'Subscription.channel.type', text: 'must be rest-hook' }],
    });
  }
  if (subscription.channel.header?.some((line) => !HEADER_LINE.test(line))) {
    throw new Failure(
      'fhir.invalid',
      'Each Subscription.channel.header must read like "Name: value", in ASCII.',
      {
        issues: [{ at: 'Subscription.channel.header', text: 'is no HTTP header' }],
      },
    );
  }
  return {
    id: String(subscription.id),
    type: match[1],
    query: match[2] ?? '',
    target: targetOf(subscription.channel.endpoint ?? '', match[1], baseUrl, hosts),
  };
}

/** RFC 9110 5.6.2; what else a line may hold would fail at each delivery. */
const HEADER_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\x20-\x7e\t]*$/;

function targetOf(
  endpoint: string,
  type: string,
  baseUrl: string,
  hosts: readonly string[],
): SubscriptionTarget {
  const url = URL.canParse(endpoint, `${baseUrl}/fhir/`) ? new URL(endpoint, `${baseUrl}/fhir/`) : null;
  if (url?.href.startsWith(`${baseUrl}/fhir/`)) return ownTarget(url, type, baseUrl);
  const allowed =
    url !== null &&
    ['http:', 'https:'].includes(url.protocol) &&
    url.username === '' &&
    hosts.some((host) => host === url.host || host === url.hostname);
  if (!allowed) {
    throw new Failure(
      'fhir.invalid',
      'The endpoint must be an http(s) address on a host that the setting SUBSCRIPTION_HOSTS names.',
      {
        issues: [
          { at: 'Subscription.channel.endpoint', text: 'host is not on the list of SUBSCRIPTION_HOSTS' },
        ],
      },
    );
  }
  return { kind: 'rest-hook', endpoint: url };
}

/** A call of ourselves: only the operation that starts a model on the study that matched. */
function ownTarget(url: URL, type: string, baseUrl: string): SubscriptionTarget {
  const model = url.searchParams.get('model');
  if (
    type !== 'ImagingStudy' ||
    url.pathname !== new URL(`${baseUrl}/fhir/ImagingStudy/$analyze`).pathname ||
    !model
  ) {
    throw new Failure(
      'fhir.invalid',
      'On this server itself only ImagingStudy/$analyze?model=<id> can be an endpoint, for criteria on ImagingStudy.',
      {
        issues: [
          { at: 'Subscription.channel.endpoint', text: 'is no operation that a Subscription can call here' },
        ],
      },
    );
  }
  return { kind: 'analyze', model };
}
