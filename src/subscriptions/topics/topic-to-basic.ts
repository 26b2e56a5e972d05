import type { Basic, Extension } from '@medplum/fhirtypes';
import { TOPIC_CODE } from './basic-to-topic.ts';
import type { QueryCriteria, SubscriptionTopic } from './subscription-topic.ts';

const element = (name: string) =>
  `http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.${name}`;

/** The R4 form of a topic (Subscriptions R5 Backport: Basic with cross-version extensions). `basicToTopic` reads it back. */
export function topicToBasic(topic: SubscriptionTopic, id: string): Basic & { id: string } {
  return {
    resourceType: 'Basic',
    id,
    code: { coding: [TOPIC_CODE] },
    extension: [
      { url: element('url'), valueUri: topic.url },
      { url: element('title'), valueString: topic.title },
      { url: element('description'), valueMarkdown: topic.description },
      { url: element('status'), valueCode: topic.status },
      ...topic.resourceTrigger.map((trigger) => ({
        url: element('resourceTrigger'),
        extension: [
          { url: 'resource', valueUri: `http://hl7.org/fhir/StructureDefinition/${trigger.resource}` },
          ...trigger.supportedInteraction.map((code) => ({ url: 'supportedInteraction', valueCode: code })),
          ...(trigger.queryCriteria
            ? [{ url: 'queryCriteria', extension: criteriaParts(trigger.queryCriteria) }]
            : []),
        ],
      })),
      ...topic.canFilterBy.map((filter) => ({
        url: element('canFilterBy'),
        extension: [
          ...(filter.resource ? [{ url: 'resource', valueUri: filter.resource }] : []),
          { url: 'filterParameter', valueString: filter.filterParameter },
          ...filter.modifier.map((code) => ({ url: 'modifier', valueCode: code })),
        ],
      })),
      ...topic.notificationShape.map((shape) => ({
        url: element('notificationShape'),
        extension: [
          { url: 'resource', valueUri: shape.resource },
          ...shape.include.map((include) => ({ url: 'include', valueString: include })),
          ...shape.revInclude.map((include) => ({ url: 'revInclude', valueString: include })),
        ],
      })),
    ],
  };
}

function criteriaParts(criteria: QueryCriteria): Extension[] {
  const { previous, current, resultForCreate, resultForDelete, requireBoth } = criteria;
  return [
    ...(previous === undefined ? [] : [{ url: 'previous', valueString: previous }]),
    ...(resultForCreate ? [{ url: 'resultForCreate', valueCode: resultForCreate }] : []),
    ...(current === undefined ? [] : [{ url: 'current', valueString: current }]),
    ...(resultForDelete ? [{ url: 'resultForDelete', valueCode: resultForDelete }] : []),
    { url: 'requireBoth', valueBoolean: requireBoth === true },
  ];
}
