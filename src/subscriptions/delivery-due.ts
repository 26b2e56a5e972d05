/** The queue of rest-hooks. One job per Subscription, however many events wait: the log of events says what is to be sent. */
export const DELIVERY_QUEUE = 'rest-hook';

export interface DeliveryDue {
  readonly subscriptionId: string;
}
