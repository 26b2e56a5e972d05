import type { Actor } from '../kernel/acting.ts';

/** What kind of thing happened; `access/audit` says it in codes of FHIR and DICOM. */
export type AuditKind =
  | 'rest'
  | 'dicomweb'
  | 'page'
  | 'sign-in'
  | 'break-glass'
  | 'hook'
  | 'inference'
  | 'message'
  | 'operator'
  | 'chain';

/** R4 valueset-audit-event-outcome: 0 success, 4 refused or not found, 8 failed, 12 the server cannot go on. */
export type AuditOutcome = 0 | 4 | 8 | 12;

/** One thing that happened, as it is handed to the audit. */
export interface AuditEntry {
  readonly kind: AuditKind;
  /** `read`, `search-type`, `$everything`, `login`: becomes the subtype. */
  readonly interaction: string;
  /** R4 valueset-audit-event-action: create, read, update, delete, execute. */
  readonly action: 'C' | 'R' | 'U' | 'D' | 'E';
  readonly outcome: AuditOutcome;
  /** HTTP status, where there was one. */
  readonly status?: number;
  /** What it was done to: `Observation/1`, `Observation`, `urn:oid:1.2.3`. */
  readonly entity?: string;
  readonly version?: string;
  /** The search as it was asked. */
  readonly query?: string;
  /** A model and its version, a host, a reason. */
  readonly detail?: string;
  /** Logical ids of the Patients that it was about. */
  readonly patients?: readonly string[];
  /** FHIR JSON that was shown or sent: the Patients in it are found there. */
  readonly texts?: readonly string[];
  /** Left out: who acts now, or the server itself. */
  readonly actor?: Actor;
}

/**
 * Where audit entries go; `Transaction` is that of the database. `access/audit` gives the database one of these when the server audits; without it nothing is kept.
 */
export interface AuditSink<Transaction> {
  /** Requests that are being answered and will hand in an entry; kept by who serves them. It says how many are worth waiting for. */
  awaited?: number;
  /** Those of them that read one resource, which takes next to nothing. */
  awaitedReads?: number;
  /** Resolves once the entry is committed. Throws `audit.unavailable`: then what was to be told must not be told. */
  record(entry: AuditEntry): Promise<void>;
  /** The entries commit with the transaction, or not at all. No round trip of their own. */
  recordIn(tx: Transaction, entries: readonly AuditEntry[]): Promise<void>;
}
