import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';
import type { RisProfile } from './profile-settings.ts';
import { BANNERS, WRONG_PATIENT } from './report-status.ts';

/**
 * A message about the wrong patient → the message that takes it back: the same result under the same patient, numbers and lines, OBX-11 W (table 0085: "post
 * original as wrong"), OBR-25 X or C, ORC-5 CA, with a new MSH-10 and later times. The right one follows as a message of its own.
 */
export function takeBack(
  raw: Buffer,
  { controlId, now, profile }: { controlId: string; now: Date; profile: RisProfile },
): Buffer {
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
        put(25, profile.wrongPatientStatus);
        break;
      case 'OBX':
        if (fields[11] !== 'O') put(11, 'W');
        put(5, withoutBanner(fields[5] ?? ''));
        break;
      case 'NTE':
        put(3, withoutBanner(fields[3] ?? ''));
        break;
    }
    return fields.join('|');
  });
  return Buffer.from(changed.join('\r'), 'latin1');
}

const withoutBanner = (text: string): string =>
  BANNERS.reduce((left, banner) => left.replace(banner, WRONG_PATIENT), text);
