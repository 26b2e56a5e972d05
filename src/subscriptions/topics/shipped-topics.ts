import { PRELIM } from '../../kernel/code-systems.ts';
import type { SubscriptionTopic, TopicFilter } from './subscription-topic.ts';

const topic = (name: string) => `${PRELIM}/SubscriptionTopic/${name}`;
const filters = (resource: string, ...parameters: string[]): TopicFilter[] =>
  parameters.map((filterParameter) => ({ resource, filterParameter, modifier: [] }));

/** The topics a server starts with: what an EHR, a RIS or a viewer wants to hear of an imaging AI. */
export const SHIPPED_TOPICS: readonly SubscriptionTopic[] = [
  {
    url: topic('report-available'),
    title: 'A report can be read',
    description:
      'A DiagnosticReport was written with a result, preliminary or later, or its content changed.',
    status: 'active',
    resourceTrigger: [
      {
        resource: 'DiagnosticReport',
        supportedInteraction: ['create', 'update'],
        queryCriteria: { current: 'status=preliminary,final,amended,corrected,appended' },
      },
    ],
    canFilterBy: filters(
      'DiagnosticReport',
      'patient',
      'subject',
      'status',
      'category',
      'code',
      'identifier',
      'based-on',
    ),
    notificationShape: [
      {
        resource: 'DiagnosticReport',
        include: ['DiagnosticReport:result', 'DiagnosticReport:subject'],
        revInclude: [],
      },
    ],
  },
  {
    url: topic('report-withdrawn'),
    title: 'A report was withdrawn',
    description: 'A DiagnosticReport became cancelled or entered-in-error, or was deleted.',
    status: 'active',
    resourceTrigger: [
      {
        resource: 'DiagnosticReport',
        supportedInteraction: ['update', 'delete'],
        queryCriteria: {
          previous: 'status:not=cancelled,entered-in-error',
          current: 'status=cancelled,entered-in-error',
          resultForDelete: 'test-passes',
          requireBoth: true,
        },
      },
    ],
    canFilterBy: filters(
      'DiagnosticReport',
      'patient',
      'subject',
      'category',
      'code',
      'identifier',
      'based-on',
    ),
    notificationShape: [],
  },
  {
    url: topic('study-available'),
    title: 'A study is complete',
    description: 'An ImagingStudy became available.',
    status: 'active',
    resourceTrigger: [
      {
        resource: 'ImagingStudy',
        supportedInteraction: ['create', 'update'],
        queryCriteria: {
          previous: 'status:not=available',
          resultForCreate: 'test-passes',
          current: 'status=available',
          requireBoth: true,
        },
      },
    ],
    canFilterBy: filters(
      'ImagingStudy',
      'patient',
      'subject',
      'modality',
      'bodysite',
      'identifier',
      'basedon',
    ),
    notificationShape: [],
  },
  {
    url: topic('analysis-ended'),
    title: 'An analysis ended',
    description: 'The Task of an analysis became completed, rejected, failed or cancelled.',
    status: 'active',
    resourceTrigger: [
      {
        resource: 'Task',
        supportedInteraction: ['create', 'update'],
        queryCriteria: {
          previous: 'status:not=completed,rejected,failed,cancelled',
          resultForCreate: 'test-passes',
          current: 'status=completed,rejected,failed,cancelled&code=analysis',
          requireBoth: true,
        },
      },
    ],
    canFilterBy: filters('Task', 'patient', 'subject', 'status', 'focus', 'owner', 'code'),
    notificationShape: [],
  },
];

/** `report-available`: the id under which the topic stands in the store. */
export const shippedTopicId = (url: string): string => `topic-${url.split('/').at(-1)}`;
