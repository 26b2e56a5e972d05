import { type Kind, kinds } from '../setting-kinds.ts';

/** When somebody is told: days of the week (0 is Sunday) and minutes of the day, from inclusive, to exclusive. */
export interface WatchHours {
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly toMinute: number;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

const hours: Kind<WatchHours> = {
  parse(text) {
    const match =
      /^(?:(Sun|Mon|Tue|Wed|Thu|Fri|Sat)-(Sun|Mon|Tue|Wed|Thu|Fri|Sat) )?(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(
        text.trim(),
      );
    const [, first = 'Sun', last = 'Sat', fromHour, fromMinute, toHour, toMinute] = match ?? [];
    const from = Number(fromHour) * 60 + Number(fromMinute);
    const to = Number(toHour) * 60 + Number(toMinute);
    if (match === null || Number(fromMinute) > 59 || Number(toMinute) > 59 || from >= to || to > 24 * 60)
      throw new Error('must be hours such as 00:00-24:00 or Mon-Fri 07:00-19:00');
    const days = [DAYS.indexOf(first)];
    while (days.at(-1) !== DAYS.indexOf(last)) days.push(((days.at(-1) ?? 0) + 1) % 7);
    return { days, fromMinute: from, toMinute: to };
  },
};

/** `ADT=90,ORU=3650`: a name and a whole number within bounds each. */
function numbersByName(what: string, min: number, max: number): Kind<ReadonlyMap<string, number>> {
  return {
    parse(text) {
      const parts = text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');
      return new Map(
        parts.map((part) => {
          const at = part.lastIndexOf('=');
          const [name, value] = [part.slice(0, at).trim(), part.slice(at + 1).trim()];
          if (at < 1 || !/^\d+$/.test(value) || Number(value) < min || Number(value) > max)
            throw new Error(`must be a comma list of ${what}=<whole number from ${min} to ${max}>`);
          return [name, Number(value)] as const;
        }),
      );
    },
  };
}

/** A repeated message is known by its row: so long a sender may repeat one and change nothing. */
export const KEPT_DAYS_MIN = 14;

/** The index that finds large messages holds those from this size on. */
export const LARGE_BYTES_MIN = 65_536;

/** What the operator of the HL7 side sets: alerts and retention. Part of `SETTINGS`. */
export const HL7_OPERATION_SETTINGS = {
  HL7_ALERT_UNSENT_S: {
    kind: kinds.integer(10, 604_800),
    default: '300',
    means: 'Alert when a message waits to be sent, or to be filed, for longer than this, in seconds.',
  },
  HL7_ALERT_SILENT: {
    kind: numbersByName('name', 1, 10_080),
    default: '',
    means:
      'Alert when nothing came from a sender (MSH-3:MSH-4), or a destination took no message, for so many minutes: "ADT:HOSPITAL=60,ris=240". Empty: nobody is watched.',
  },
  HL7_ALERT_HOURS: {
    kind: hours,
    default: '00:00-24:00',
    means:
      'Hours in which silence is an alert, in the zone SITE_TIME_ZONE (else UTC): "Mon-Fri 07:00-19:00".',
  },
  HL7_ALERT_ERROR_PERCENT: {
    kind: kinds.integer(0, 100),
    default: '10',
    means:
      'Alert when more than this share of messages was refused, held, or not acknowledged in the last 15 minutes (20 messages or more). 0: never.',
  },
  HL7_ALERT_CERTIFICATE_DAYS: {
    kind: kinds.integer(0, 365),
    default: '30',
    means: 'Alert when a TLS certificate of ours for HL7 ends within so many days. 0: never.',
  },
  HL7_KEPT_DAYS: {
    kind: kinds.integer(KEPT_DAYS_MIN, 36_500),
    default: '400',
    means:
      'Days for which ended HL7 messages are kept in the log. What waits or needs a person is never deleted.',
  },
  HL7_KEPT_DAYS_BY_TYPE: {
    kind: numbersByName('type', KEPT_DAYS_MIN, 36_500),
    default: '',
    means: 'Other days for message types, by MSH-9.1: "ADT=90,ORU=3650".',
  },
  HL7_LARGE_KEPT_DAYS: {
    kind: kinds.integer(1, 36_500),
    default: '90',
    means:
      'Days after which the bytes of ended messages larger than HL7_LARGE_BYTES are dropped; all else about them is kept.',
  },
  HL7_LARGE_BYTES: {
    kind: kinds.integer(LARGE_BYTES_MIN, 16_777_216),
    default: '131072',
    means: 'From this size on a message is large (an embedded PDF).',
  },
} as const;
