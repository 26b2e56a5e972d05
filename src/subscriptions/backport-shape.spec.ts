import type { Bundle, ElementDefinition, StructureDefinition } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { knownProfiles } from '../fhir/profiles/known-profiles.ts';
import { findIssues } from '../fhir/validate/validate-resource.ts';
import { BACKPORT, type PayloadContent } from './backport.ts';
import type { SubscriptionEvent } from './subscription.store.ts';
import { type NotificationType, type NotifiedEvent, writeNotification } from './write-notification.ts';

const BASE = 'https://prelim.example/fhir';
const TOPIC = `${BASE}/SubscriptionTopic/report-available`;

const element = (id: string, more: Partial<ElementDefinition> = {}): ElementDefinition => ({
  id,
  path: id.replace(/:[A-Za-z]+/g, ''),
  ...more,
});

/** A slice of parameters: its name, how often, and of what type its value is. */
function slice(
  at: string,
  name: string,
  min: number,
  max: string,
  value: string | null,
): ElementDefinition[] {
  const id = `${at}:${name.replace(/-/g, '')}`;
  const sliceName = name.replace(/-/g, '');
  return [
    element(id, { sliceName, min, max }),
    element(`${id}.name`, { fixedString: name }),
    ...(value === null ? [] : [element(`${id}.value[x]`, { min: 1, type: [{ code: value }] })]),
  ];
}

const byName = (at: string): ElementDefinition =>
  element(at, {
    slicing: { discriminator: [{ type: 'value', path: 'name' }], rules: 'open', ordered: false },
  });

const profile = (url: string, type: string, differential: ElementDefinition[]): StructureDefinition => ({
  ...{
    resourceType: 'StructureDefinition',
    url,
    name: type,
    status: 'active',
    kind: 'resource',
    abstract: false,
  },
  ...{ type, derivation: 'constraint', baseDefinition: `http://hl7.org/fhir/StructureDefinition/${type}` },
  differential: { element: [element(type), ...differential] },
});

/** What the IG (1.1.0, R4) demands of the two, as profiles. */
const PARAMETER = 'Parameters.parameter';
const PART = `${PARAMETER}:notificationevent.part`;
const STATUS = profile(BACKPORT.statusProfile, 'Parameters', [
  byName(PARAMETER),
  ...slice(PARAMETER, 'subscription', 1, '1', 'Reference'),
  ...slice(PARAMETER, 'topic', 0, '1', 'canonical'),
  ...slice(PARAMETER, 'status', 1, '1', 'code'),
  element(`${PARAMETER}:status.value[x]`, {
    binding: { strength: 'required', valueSet: 'http://hl7.org/fhir/ValueSet/subscription-status' },
  }),
  ...slice(PARAMETER, 'type', 1, '1', 'code'),
  ...slice(PARAMETER, 'events-since-subscription-start', 0, '1', 'string'),
  ...slice(PARAMETER, 'notification-event', 0, '*', null),
  byName(PART),
  ...slice(PART, 'event-number', 1, '1', 'string'),
  ...slice(PART, 'timestamp', 0, '1', 'instant'),
  ...slice(PART, 'focus', 0, '1', 'Reference'),
  ...slice(PART, 'additional-context', 0, '*', 'Reference'),
  ...slice(PARAMETER, 'error', 0, '*', 'CodeableConcept'),
]);
const NOTIFICATION = profile(BACKPORT.notificationProfile, 'Bundle', [
  element('Bundle.type', { fixedCode: 'history' }),
  element('Bundle.entry', { min: 1 }),
  element('Bundle.entry.request', { min: 1 }),
]);

beforeAll(async () => {
  await loadDefinitions();
  knownProfiles.addPackage([STATUS, NOTIFICATION]);
});

const patient = { resourceType: 'Patient', id: 'p', gender: 'female' };
const report = {
  ...{ resourceType: 'DiagnosticReport', id: 'r', status: 'final', code: { text: 'x' } },
  subject: { reference: 'Patient/p' },
};
const notified = (number: number, interaction: SubscriptionEvent['interaction']): NotifiedEvent => ({
  event: {
    number,
    at: new Date(0),
    type: 'DiagnosticReport',
    id: 'r',
    version: 1,
    interaction,
  } as SubscriptionEvent,
  focus: {
    type: 'DiagnosticReport',
    id: 'r',
    json: interaction === 'delete' ? null : JSON.stringify(report),
  },
  context: [{ type: 'Patient', id: 'p', json: JSON.stringify(patient) }],
});

const written = (
  type: NotificationType,
  content: PayloadContent,
  events: readonly NotifiedEvent[],
  error?: string,
): Bundle =>
  JSON.parse(
    writeNotification(
      {
        ...{
          type,
          content,
          subscriptionId: 's',
          topic: TOPIC,
          status: error ? 'error' : 'active',
          events: 7,
        },
        notified: events,
        ...(error ? { error } : {}),
      },
      { base: BASE, now: () => new Date(0), uuid: () => '6f2c9f2e-0d1e-4a0f-8f0b-0f3c9f5b7a11' },
    ),
  );

const TYPES: readonly NotificationType[] = [
  'handshake',
  'heartbeat',
  'event-notification',
  'query-status',
  'query-event',
];

describe('a notification has the shape that the Subscriptions R5 Backport gives it', () => {
  it.each(
    TYPES.flatMap((type) =>
      (['empty', 'id-only', 'full-resource'] as const).map((content) => [type, content] as const),
    ),
  )('%s, %s', (type, content) => {
    const events = /event/.test(type) ? [notified(6, 'create'), notified(7, 'delete')] : [];
    for (const bundle of [
      written(type, content, events),
      written(type, content, events, 'it does not answer'),
    ]) {
      expect(findIssues(bundle, [BACKPORT.notificationProfile])).toEqual([]);
      const [first, ...rest] = bundle.entry ?? [];
      const status = first?.resource;
      expect(status && findIssues(status, [BACKPORT.statusProfile])).toEqual([]);
      expect(first?.request).toEqual({ method: 'GET', url: `${BASE}/Subscription/s/$status` });
      const text = JSON.stringify(status);
      // Of `empty` nobody learns what it is about.
      if (content === 'empty') {
        expect(rest).toEqual([]);
        expect(text).not.toMatch(/focus|additional-context|topic|DiagnosticReport|Patient/);
      } else expect(rest.every(({ fullUrl, request }) => fullUrl && request)).toBe(true);
      if (content === 'id-only') expect(rest.some(({ resource }) => resource)).toBe(false);
      if (content === 'full-resource' && events.length > 0)
        expect(rest.filter(({ resource }) => resource).map((one) => one.resource?.resourceType)).toEqual([
          'DiagnosticReport',
          'Patient',
        ]);
    }
  });

  it('and these profiles find what is wrong', () => {
    const bundle = written('event-notification', 'id-only', [notified(1, 'create')]);
    const status = bundle.entry?.[0]?.resource as { parameter: { name: string; part?: unknown[] }[] };
    const without = (name: string) => ({
      ...status,
      parameter: status.parameter.filter((one) => one.name !== name),
    });
    for (const name of ['subscription', 'status', 'type'])
      expect(findIssues(without(name) as never, [BACKPORT.statusProfile])).not.toEqual([]);
    expect(findIssues(without('topic') as never, [BACKPORT.statusProfile])).toEqual([]);
    expect(findIssues({ ...bundle, type: 'collection' }, [BACKPORT.notificationProfile])).not.toEqual([]);
  });
});
