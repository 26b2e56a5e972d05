import type { TypedIdentifier } from '../../fhir/resource-store.ts';
import type { MessageTimes } from './message-times.ts';
import type { OpenRecord } from './open-record.ts';

/** What one message asks to be filed: everything that can be known of it without the database. */
export interface FilingPlan {
  /** `MSH-9.1^MSH-9.2`. */
  readonly messageType: string;
  /** Of the patient and of the first order or result: what people search the message log by. */
  readonly mrn: string | null;
  readonly accession: string | null;
  /** What looked odd and was got over; fixed words, no patient data. */
  readonly flags: readonly string[];
  /** Names of everything it reads or writes: two messages with a common one are filed one after the other. */
  readonly keys: readonly string[];
  /** It may touch more than its numbers say (a merge moves all of a patient): nothing is looked up or written beside it. */
  readonly alone: boolean;
  /** Numbers whose resources `place` needs to know. */
  readonly lookups: readonly TypedIdentifier[];
  /** Puts what the message says into the record. Throws a `Failure` when it cannot be filed; then nothing of it is. */
  place(record: OpenRecord): Promise<void>;
}

/** A plan with who sent it and when. */
export interface SentPlan extends FilingPlan {
  readonly times: MessageTimes;
  /** As the audit has it: `HL7 <MSH-3>|<MSH-4>`. */
  readonly sender: string;
}
