import { randomUUID } from 'node:crypto';
import { dateTimeToTimestamp, type TimestampStyle } from '../../hl7/timestamp.ts';
import type { PreviousMessage } from './oru-input.ts';
import type { LatestMessage, NewMessage, ToldMessage } from './outbound-message.store.ts';
import type { ReadProfile } from './profile-settings.ts';
import type { ReportRecord } from './read-record.ts';
import { DELETED } from './report-status.ts';
import { reportToOru } from './report-to-oru.ts';
import { misplacedResult, type TakeBackHow, takeBack } from './take-back.ts';

/** What a message for one receiver is made of. */
export interface MessageAsked {
  readonly about: Pick<NewMessage, 'destination' | 'reportId' | 'reportVersion' | 'patientId'>;
  readonly latest: LatestMessage | null;
  readonly told: ToldMessage | null;
  readonly profile: ReadProfile;
  readonly controlId: string;
  /** The message that was asked to be made anew; null: a new version of the report asks. */
  readonly versionOf: string | null;
  /** Null: the record makes no message, and that is what is kept. */
  readonly record: ReportRecord | null;
  /** What the record lacks, where it makes no message: `Patient.identifier`. */
  readonly missing?: string;
  /** The last message stands under another patient or other numbers: MSH-10 and first line of the one that takes it back; null when there is nothing to take back. */
  readonly misplaced: Pick<TakeBackHow, 'controlId' | 'words'> | null;
  readonly now: Date;
}

export interface MadeMessage {
  readonly message: NewMessage;
  /** Goes out first, in the same lane. */
  readonly takeBack: NewMessage | null;
}

/** The message and its row in the log. Throws `ris.not-sendable`. */
export function makeMessage(asked: MessageAsked): MadeMessage {
  const { about, latest, told, profile, controlId, record, misplaced } = asked;
  const lane = latest?.openLane ?? `ris:${about.destination}:${about.patientId}`;
  const first = laterThan(latest, asked.now, profile.profile);
  const base = {
    ...about,
    profile: profile.name,
    profileVersion: profile.version,
    versionOf: asked.versionOf,
    state: 'waiting',
    error: null,
  } as const;
  const next = nextRevision(about.reportVersion, latest);
  const taken =
    misplaced !== null && told !== null
      ? takenBack(asked, told, next, {
          ...misplaced,
          now: first,
          profile: profile.profile,
          result: misplacedResult(profile.profile),
        })
      : null;
  const messageTime = taken === null ? first : new Date(first.getTime() + SECOND_MS);
  const revision = taken === null ? next : next + 1;
  if (record === null) {
    const error = whyNot(asked.missing);
    const unmade = { ...base, ...NOT_MADE, error, id: randomUUID(), lane, controlId, messageTime, revision };
    // What stands under the wrong patient is taken back, whatever the record of the right one lacks.
    return { message: unmade, takeBack: taken };
  }
  const previous: PreviousMessage | null = taken === null ? told : null;
  const made = reportToOru({
    ...record,
    profile: profile.profile,
    controlId,
    now: messageTime,
    ...(previous ? { previous } : {}),
  });
  const { bytes: raw, unmapped, result, lineIds, mrn, accession, placer } = made;
  const own = { raw, unmapped, result, lineIds, mrn, accession, placer, messageTime, revision };
  return {
    message: { ...base, ...own, id: randomUUID(), lane: taken?.lane ?? lane, controlId },
    takeBack: taken,
  };
}

const SECOND_MS = 1000;

/** The code with the place in the record, which is what a person has to fill. */
const whyNot = (missing: string | undefined) =>
  missing ? `ris.not-sendable ${missing}` : 'ris.not-sendable';

const NOT_MADE = {
  raw: Buffer.alloc(0),
  unmapped: 0,
  result: '',
  lineIds: {},
  mrn: '',
  accession: '',
  placer: '',
  state: 'unmade',
} as const;

/** The report was deleted: what the receiver was told of it is taken back. */
export function messageOfDeleted(
  asked: Omit<MessageAsked, 'record' | 'misplaced' | 'told'>,
  told: ToldMessage,
): NewMessage {
  const { controlId, profile, latest } = asked;
  const now = laterThan(latest, asked.now, profile.profile);
  const how = { controlId, now, profile: profile.profile, words: DELETED, result: 'X' };
  return takenBack(asked, told, nextRevision(asked.about.reportVersion, latest), how);
}

/**
 * In the lane of the message it takes back: what follows in that lane comes after it. Under the version of the report that asks for it: the next revision of the told
 * version may have been used up by a message that was rejected, and this one would not be stored.
 */
function takenBack(
  { about, profile, versionOf }: Pick<MessageAsked, 'about' | 'profile' | 'versionOf'>,
  told: ToldMessage,
  revision: number,
  how: TakeBackHow,
): NewMessage {
  const { lane, patientId, lineIds, mrn, accession, placer } = told;
  const { controlId, now: messageTime, result } = how;
  // Retention has dropped the bytes: an empty frame would tell nobody anything, so a person must.
  const isDropped = told.raw.length === 0;
  return {
    ...about,
    ...{ patientId, lineIds, mrn, accession, placer, lane, controlId, messageTime, versionOf },
    id: randomUUID(),
    raw: isDropped ? told.raw : takeBack(told.raw, how),
    unmapped: 0,
    result,
    profile: profile.name,
    profileVersion: profile.version,
    revision,
    ...(isDropped
      ? { state: 'unmade', error: 'ris.bytes-dropped' }
      : ({ state: 'waiting', error: null } as const)),
  };
}

/** Each message about one version of a report has its own. */
const nextRevision = (reportVersion: number, latest: LatestMessage | null): number =>
  latest?.reportVersion === reportVersion ? latest.revision + 1 : 1;

/** Receivers compare OBR-22 to the second, and drop a version that is not later: a second is added where needed. */
function laterThan(latest: LatestMessage | null, clock: Date, style: TimestampStyle): Date {
  const now = Math.floor(clock.getTime() / SECOND_MS) * SECOND_MS;
  if (latest === null) return new Date(now);
  const later = new Date(Math.max(now, latest.messageTime.getTime() + SECOND_MS));
  const stamp = (time: Date) => dateTimeToTimestamp(time.toISOString(), style);
  // A local time without its offset comes twice in the night that summer time ends.
  const isRepeated = !style.zoneOffset && stamp(later) <= stamp(latest.messageTime);
  return isRepeated ? new Date(later.getTime() + HOUR_MS) : later;
}

const HOUR_MS = 3_600_000;
