import { stableUid } from '../../dicom/stable-uid.ts';
import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';
import type { RisProfile } from './profile-settings.ts';
import { BANNERS } from './report-status.ts';

export interface TakeBackHow {
  readonly controlId: string;
  readonly now: Date;
  readonly profile: RisProfile;
  /** What the first line says. */
  readonly words: string;
  /** OBR-25. */
  readonly result: string;
}

/**
 * A message that must not stand (it was about the wrong patient, or its report was deleted) → the message that takes it back: the same result under the same
 * patient, numbers and lines, OBX-11 W (table 0085: "post original as wrong"), ORC-5 CA, with a new MSH-10 and later times. As RAD-28 it is an object of its own: an
 * archive would keep the one that it has under the same UID, and never show that it is taken back.
 */
export function takeBack(raw: Buffer, { controlId, now, profile, words, result }: TakeBackHow): Buffer {
  const time = dateTimeToTimestamp(now.toISOString(), profile);
  const lines = raw.toString('latin1').split('\r');
  const changed = lines.map((line) => {
    const fields = line.split('|');
    const put = (n: number, text: string) => {
      while (fields.length <= n) fields.push('');
      fields[n] = text;
    };
    switch (fields[0]) {
      case 'MSH':
        // MSH-1 is the separator itself: field n stands at n - 1.
        put(6, time);
        put(9, controlId);
        break;
      case 'ORC':
        put(5, 'CA');
        break;
      case 'OBR':
        put(22, time);
        put(25, result);
        break;
      case 'OBX':
        if (fields[11] !== 'O') put(11, 'W');
        if (fields[3] === SR_UID) put(5, stableUid('oru-structured-report', fields[5] ?? '', controlId));
        put(5, withBanner(fields[5] ?? '', words));
        break;
      case 'NTE':
        put(3, withBanner(fields[3] ?? '', words));
        break;
    }
    return fields.join('|');
  });
  return Buffer.from(changed.join('\r'), 'latin1');
}

/** The same, of what stands under another patient or other numbers than those of today; whoever sends or only shows it asks here. */
export const takeBackMisplaced = (raw: Buffer, how: Omit<TakeBackHow, 'result'>): Buffer =>
  takeBack(raw, { ...how, result: misplacedResult(how.profile) });

/** OBR-25 of that message: a receiver that deletes what is X may want C. */
export const misplacedResult = ({ wrongPatientStatus }: RisProfile): string => wrongPatientStatus;

/** OBX-3 of the UID of the object that RAD-28 makes. */
const SR_UID = '^SR Instance UID';

const withBanner = (text: string, words: string): string =>
  BANNERS.reduce((left, banner) => left.replace(banner, words), text);
