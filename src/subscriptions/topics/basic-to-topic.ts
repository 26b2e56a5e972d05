import type { Basic, Extension } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type {
  NotificationShape,
  QueryCriteria,
  ResourceTrigger,
  SubscriptionTopic,
  TopicFilter,
  TopicInteraction,
} from './subscription-topic.ts';

/** `Basic.code` of a SubscriptionTopic in R4. */
export const TOPIC_CODE = { system: 'http://hl7.org/fhir/fhir-types', code: 'SubscriptionTopic' } as const;

/** The IG writes some of the elements under 5.0 and some under 4.3; both are read for each. */
const ELEMENT = /^http:\/\/hl7\.org\/fhir\/(?:4\.3|5\.0)\/StructureDefinition\/extension-SubscriptionTopic\./;

export const isTopic = (basic: Basic): boolean =>
  basic.code.coding?.some(({ system, code }) => system === TOPIC_CODE.system && code === TOPIC_CODE.code) ===
  true;

/**
 * Reads the R4 form of a SubscriptionTopic (Subscriptions R5 Backport, "Topics in R4": a Basic with cross-version extensions).
 *
 * @throws Failure `fhir.invalid`, or `fhir.unsupported` for what this server would not follow
 */
export function basicToTopic(basic: Basic): SubscriptionTopic {
  const parts = (basic.extension ?? []).flatMap((extension) =>
    ELEMENT.test(extension.url) ? [{ ...extension, url: extension.url.replace(ELEMENT, '') }] : [],
  );
  if (has(parts, 'eventTrigger')) throw refused('eventTrigger is not offered; use resourceTrigger.');
  const url = text(parts, 'url');
  if (!url || !/^[a-z][a-z0-9+.-]*:[^\s|]{1,500}$/i.test(url))
    throw invalid('A SubscriptionTopic needs the extension "url" with its canonical URL.');
  const triggers = all(parts, 'resourceTrigger').map((part) => trigger(part.extension ?? []));
  if (triggers.length === 0) throw invalid('A SubscriptionTopic needs a resourceTrigger.');
  return {
    url,
    title: text(parts, 'title') ?? '',
    description: text(parts, 'description') ?? '',
    status: oneOf(text(parts, 'status') ?? 'active', ['active', 'draft', 'retired']),
    resourceTrigger: triggers,
    canFilterBy: all(parts, 'canFilterBy').map((part) => filter(part.extension ?? [])),
    notificationShape: all(parts, 'notificationShape').map((part) => shape(part.extension ?? [])),
  };
}

function trigger(parts: readonly Extension[]): ResourceTrigger {
  if (has(parts, 'fhirPathCriteria'))
    throw refused(
      'fhirPathCriteria is not offered: an expression has no bound on its time. Use queryCriteria.',
    );
  const [criteria] = all(parts, 'queryCriteria');
  return {
    resource: typeName(text(parts, 'resource')),
    supportedInteraction: texts(parts, 'supportedInteraction').map(
      (code): TopicInteraction => oneOf(code, ['create', 'update', 'delete']),
    ),
    ...(criteria ? { queryCriteria: queryCriteria(criteria.extension ?? []) } : {}),
  };
}

function queryCriteria(parts: readonly Extension[]): QueryCriteria {
  const result = (name: string) => {
    const code = text(parts, name);
    return code === undefined ? {} : { [name]: oneOf(code, ['test-passes', 'test-fails']) };
  };
  const query = (name: string) => {
    const value = text(parts, name);
    // R5 writes it with or without the type in front.
    return value === undefined ? {} : { [name]: value.replace(/^[A-Z][A-Za-z]*\?/, '') };
  };
  return {
    ...query('previous'),
    ...query('current'),
    ...result('resultForCreate'),
    ...result('resultForDelete'),
    requireBoth: parts.find(({ url }) => url === 'requireBoth')?.valueBoolean === true,
  };
}

function filter(parts: readonly Extension[]): TopicFilter {
  const filterParameter = text(parts, 'filterParameter');
  if (!filterParameter) throw invalid('canFilterBy needs a filterParameter.');
  const resource = text(parts, 'resource');
  return {
    resource: resource ? typeName(resource) : null,
    filterParameter,
    modifier: texts(parts, 'modifier'),
  };
}

const shape = (parts: readonly Extension[]): NotificationShape => ({
  resource: typeName(text(parts, 'resource')),
  include: texts(parts, 'include'),
  revInclude: texts(parts, 'revInclude'),
});

/** `Encounter` or `http://hl7.org/fhir/StructureDefinition/Encounter`. */
function typeName(uri: string | undefined): string {
  const name = /^(?:http:\/\/hl7\.org\/fhir\/StructureDefinition\/)?([A-Z][A-Za-z]{1,63})$/.exec(
    uri ?? '',
  )?.[1];
  if (!name) throw invalid('A part of the SubscriptionTopic names no resource type.');
  return name;
}

const invalid = (message: string) =>
  new Failure('fhir.invalid', message, { issues: [{ at: 'Basic.extension', text: message }] });
const refused = (message: string) =>
  new Failure('fhir.unsupported', message, { issues: [{ at: 'Basic.extension', text: message }] });

function oneOf<const T extends string>(value: string, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) throw invalid(`A code must be one of ${allowed.join(', ')}.`);
  return value as T;
}

const all = (parts: readonly Extension[], name: string) => parts.filter(({ url }) => url === name);
const has = (parts: readonly Extension[], name: string) => all(parts, name).length > 0;
const texts = (parts: readonly Extension[], name: string): string[] =>
  all(parts, name).flatMap(
    (part) =>
      part.valueString ?? part.valueCode ?? part.valueUri ?? part.valueCanonical ?? part.valueMarkdown ?? [],
  );
const text = (parts: readonly Extension[], name: string): string | undefined => texts(parts, name)[0];
