import { createHmac } from 'node:crypto';

/** What a key makes of identifiers: the same always, nothing that leads back without the key. */
export interface Pseudonyms {
  /** `2.25.` and 128 bits (PS3.5 B.2). */
  uid(original: string): string;
  /** 16 letters and digits, for PatientID and PatientName. */
  patientId(patient: string): string;
  /** Whole days that are added to every date of this patient: -3,650 to -30. */
  dayOffset(patient: string): number;
}

/** A shorter key could be tried out: patient ids of a hospital are few. */
export const DEIDENTIFICATION_KEY_BYTES = 32;

/**
 * Pseudonyms by HMAC-SHA-256. One key is one site's: within it a study keeps its references and a patient stays one patient, and nobody
 * without the key can compute a pseudonym from an identifier he guesses. Different uses have different labels, so that none tells of another.
 */
export function pseudonymsOf(key: Buffer): Pseudonyms {
  if (key.length < DEIDENTIFICATION_KEY_BYTES)
    throw new RangeError(`a de-identification key has at least ${DEIDENTIFICATION_KEY_BYTES} bytes`);
  const digest = (use: string, value: string) =>
    createHmac('sha256', key).update(`prelim/${use}/1\0${value}`).digest();
  return {
    uid: (original) => `2.25.${uuidNumber(digest('uid', original))}`,
    patientId: (patient) => base32(digest('patient', patient).subarray(0, 10)),
    dayOffset: (patient) =>
      -(DAYS_MIN + (digest('days', patient).readUInt32BE() % (DAYS_MAX - DAYS_MIN + 1))),
  };
}

/** Far enough that no date stays in its month, near enough that nobody is examined before he could be. */
const DAYS_MIN = 30;
const DAYS_MAX = 3650;

/** 128 bits with the version (8: own way of making) and variant of RFC 9562, as a UUID-derived UID must be one. */
function uuidNumber(digest: Buffer): bigint {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return BigInt(`0x${bytes.toString('hex')}`);
}

const LETTERS = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';

function base32(bytes: Buffer): string {
  let rest = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let digits = (bytes.length * 8) / 5; digits > 0; digits -= 1) {
    text = `${LETTERS[Number(rest & 31n)]}${text}`;
    rest >>= 5n;
  }
  return text;
}
