/** A topic, in the words of the R5 resource SubscriptionTopic (subscriptiontopic.html), as far as this server follows it. */
export interface SubscriptionTopic {
  /** Canonical URL: what `Subscription.criteria` names. */
  readonly url: string;
  readonly title: string;
  readonly description: string;
  readonly status: 'active' | 'draft' | 'retired';
  readonly resourceTrigger: readonly ResourceTrigger[];
  readonly canFilterBy: readonly TopicFilter[];
  readonly notificationShape: readonly NotificationShape[];
}

export type TopicInteraction = 'create' | 'update' | 'delete';

export interface ResourceTrigger {
  readonly resource: string;
  /** Empty: all. */
  readonly supportedInteraction: readonly TopicInteraction[];
  readonly queryCriteria?: QueryCriteria;
}

export interface QueryCriteria {
  /** A search that the version before must meet. Only on tokens, references and URIs: of that version no other rows are kept. */
  readonly previous?: string;
  /** What stands in for `previous` where there is none. */
  readonly resultForCreate?: 'test-passes' | 'test-fails';
  /** A search that the new version must meet. */
  readonly current?: string;
  readonly resultForDelete?: 'test-passes' | 'test-fails';
  /** Both tests, or one of the two. */
  readonly requireBoth?: boolean;
}

export interface TopicFilter {
  /** Null: for every type of the topic. */
  readonly resource: string | null;
  readonly filterParameter: string;
  /** Modifiers that may be used with it. */
  readonly modifier: readonly string[];
}

export interface NotificationShape {
  readonly resource: string;
  /** `Type:parameter`, as of `_include`: resources that go along. */
  readonly include: readonly string[];
  readonly revInclude: readonly string[];
}
