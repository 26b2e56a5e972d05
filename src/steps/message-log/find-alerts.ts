import type { WatchHours } from '../../config/settings.ts';
import type { ErrorShare } from './alert.store.ts';
import { sayAge } from './say-age.ts';
import type { Alert, AlertKind } from './shown.ts';

/** Every kind there is: a closed set, for metrics. */
export const ALERT_KINDS = [
  'unsent',
  'unconfigured',
  'unfiled',
  'held',
  'silent',
  'errors',
  'certificate',
  'dead',
] as const satisfies readonly AlertKind[];

export interface AlertLimits {
  readonly HL7_ALERT_UNSENT_S: number;
  readonly HL7_ALERT_ERROR_PERCENT: number;
  readonly HL7_ALERT_CERTIFICATE_DAYS: number;
}

export interface AlertFacts {
  readonly destinations: readonly { destination: string; waiting: number; oldest_s: number }[];
  /** Messages in queues of destinations that are not configured (any more). */
  readonly unconfigured: readonly { destination: string; messages: number }[];
  readonly heldDestinations: readonly string[];
  readonly filing: { waiting: number; oldest_s: number; held: number };
  readonly deadOut: readonly { destination: string; messages: number }[];
  /** Those of `HL7_ALERT_SILENT` of whom nothing was heard, with their minutes. */
  readonly silent: readonly (readonly [name: string, minutes: number])[];
  readonly inbound: ErrorShare;
  readonly outbound: ErrorShare;
  readonly certificates: readonly { name: string; days: number }[];
}

/** Fewer messages make no share: one refused of two is no 50 %. */
export const ERROR_MESSAGES_MIN = 20;

/** Facts → what is wrong, by the site's limits. Pure. */
export function findAlerts(facts: AlertFacts, limits: AlertLimits): Alert[] {
  const alerts: Alert[] = [];
  const add = (kind: Alert['kind'], about: string, text: string) => void alerts.push({ kind, about, text });
  for (const { destination, waiting, oldest_s: oldest } of facts.destinations) {
    if (oldest > limits.HL7_ALERT_UNSENT_S)
      add('unsent', destination, `${say(waiting)} to be sent, the oldest for ${sayAge(oldest)}`);
  }
  for (const { destination, messages } of facts.unconfigured)
    add(
      'unconfigured',
      destination,
      `${say(messages)} for a destination that is not configured: name it again, or discard them`,
    );
  for (const destination of facts.heldDestinations)
    add('held', destination, 'held by an operator: nothing is sent');
  const { waiting, oldest_s: oldest, held } = facts.filing;
  if (waiting > 0 && oldest > limits.HL7_ALERT_UNSENT_S)
    add('unfiled', 'in', `${say(waiting)} to be filed, the oldest for ${sayAge(oldest)}`);
  if (held > 0) add('dead', 'in', `${held} could not be filed: a person must look`);
  for (const { destination, messages } of facts.deadOut)
    add('dead', destination, `${messages} could not be sent: a person must look`);
  for (const [name, minutes] of facts.silent) add('silent', name, `nothing for ${minutes} minutes`);
  for (const [about, share] of [
    ['in', facts.inbound],
    ['out', facts.outbound],
  ] as const) {
    const percent = share.messages === 0 ? 0 : (100 * share.errors) / share.messages;
    if (
      limits.HL7_ALERT_ERROR_PERCENT > 0 &&
      share.messages >= ERROR_MESSAGES_MIN &&
      percent > limits.HL7_ALERT_ERROR_PERCENT
    )
      add('errors', about, `${Math.round(percent)} % of ${share.messages} went wrong in the last 15 minutes`);
  }
  for (const { name, days } of facts.certificates) {
    if (limits.HL7_ALERT_CERTIFICATE_DAYS > 0 && days <= limits.HL7_ALERT_CERTIFICATE_DAYS)
      add(
        'certificate',
        name,
        days < 0 ? 'the certificate has ended' : `the certificate ends in ${Math.floor(days)} days`,
      );
  }
  return alerts;
}

/** Is it a time in which silence is an alert? */
export function isWatched(hours: WatchHours, timeZone: string | null, now: Date): boolean {
  const parts = new Intl.DateTimeFormat('en', {
    timeZone: timeZone ?? 'UTC',
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(now);
  const of = (type: string) => parts.find((part) => part.type === type)?.value ?? '';
  const day = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(of('weekday'));
  const minute = Number(of('hour')) * 60 + Number(of('minute'));
  return hours.days.includes(day) && minute >= hours.fromMinute && minute < hours.toMinute;
}

const say = (waiting: number) => (waiting === 1 ? '1 message waits' : `${waiting} messages wait`);
