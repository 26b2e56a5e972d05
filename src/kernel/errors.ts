/**
 * Every expected failure has a stable code. The table is the whole vocabulary: `docs/errors.md` lists the same codes,
 * and a test compares the two. `kind` decides the answer at each door (HTTP status, HL7 ERR code, job outcome);
 * `retry` says whether the same input may succeed later.
 */
export const FAILURES = {
  'config.invalid': { kind: 'invalid', retry: false },
  'data.unwritable': { kind: 'unavailable', retry: false },
  'database.unavailable': { kind: 'unavailable', retry: true },
  'database.timeout': { kind: 'timeout', retry: false },
  'backup.invalid': { kind: 'invalid', retry: false },
  'backup.refused': { kind: 'conflict', retry: false },

  'auth.missing': { kind: 'unauthorized', retry: false },
  'auth.invalid': { kind: 'unauthorized', retry: false },
  'auth.scope': { kind: 'forbidden', retry: false },
  'audit.unavailable': { kind: 'unavailable', retry: true },
  'auth.csrf': { kind: 'forbidden', retry: false },

  'fhir.invalid': { kind: 'invalid', retry: false },
  'fhir.validation': { kind: 'invalid', retry: false },
  'fhir.patch': { kind: 'invalid', retry: false },
  'fhir.protected': { kind: 'forbidden', retry: false },
  'fhir.unsupported': { kind: 'unsupported', retry: false },
  'fhir.not-found': { kind: 'not-found', retry: false },
  'fhir.deleted': { kind: 'gone', retry: false },
  'fhir.version-conflict': { kind: 'precondition', retry: false },
  'fhir.multiple-matches': { kind: 'precondition', retry: false },
  'fhir.conflict': { kind: 'conflict', retry: true },
  'fhir.referenced': { kind: 'conflict', retry: false },
  'fhir.not-acceptable': { kind: 'not-acceptable', retry: false },
  'fhir.media-type': { kind: 'media-type', retry: false },
  'fhir.too-large': { kind: 'too-large', retry: false },
  'fhir.not-offered': { kind: 'unsupported', retry: false },
  'fhir.expunge-forbidden': { kind: 'forbidden', retry: false },
  'fhir.bulk-busy': { kind: 'busy', retry: true },

  'dicom.not-dicom': { kind: 'invalid', retry: false },
  'dicom.malformed': { kind: 'invalid', retry: false },
  'dicom.truncated': { kind: 'invalid', retry: false },
  'dicom.several-studies': { kind: 'invalid', retry: false },
  'dicom.too-large': { kind: 'too-large', retry: false },
  'dicom.value': { kind: 'invalid', retry: false },
  'dicom.no-pixels': { kind: 'unsupported', retry: false },
  'dicom.transfer-syntax': { kind: 'unsupported', retry: false },
  'dicom.pixel-format': { kind: 'unsupported', retry: false },
  'dicom.pixel-size': { kind: 'invalid', retry: false },
  'dicom.codestream': { kind: 'invalid', retry: false },
  'dicom.decode-timeout': { kind: 'timeout', retry: false },
  'dicom.worker': { kind: 'internal', retry: true },

  'model.unknown': { kind: 'not-found', retry: true },
  'subscription.not-delivered': { kind: 'unavailable', retry: true },

  'http.bad-request': { kind: 'invalid', retry: false },
  'http.not-found': { kind: 'not-found', retry: false },
  'http.stopping': { kind: 'unavailable', retry: true },
  'http.too-many': { kind: 'busy', retry: true },

  'deidentify.key': { kind: 'invalid', retry: false },
  'dicom.multipart': { kind: 'invalid', retry: false },
  'dicom.multipart-limit': { kind: 'too-large', retry: false },

  'archive.bad-request': { kind: 'invalid', retry: false },
  'archive.media-type': { kind: 'media-type', retry: false },
  'archive.not-acceptable': { kind: 'not-acceptable', retry: false },
  'archive.not-found': { kind: 'not-found', retry: false },
  'archive.unwritable': { kind: 'unavailable', retry: true },

  'dicomweb.uid': { kind: 'invalid', retry: false },
  'dicomweb.unreachable': { kind: 'unavailable', retry: true },
  'dicomweb.timeout': { kind: 'timeout', retry: true },
  'dicomweb.redirect': { kind: 'unavailable', retry: false },
  'dicomweb.unauthorized': { kind: 'unavailable', retry: false },
  'dicomweb.not-found': { kind: 'not-found', retry: true },
  'dicomweb.not-acceptable': { kind: 'not-acceptable', retry: false },
  'dicomweb.status': { kind: 'unavailable', retry: true },
  'dicomweb.answer': { kind: 'invalid', retry: true },
  'dicomweb.too-large': { kind: 'too-large', retry: false },
  'dicomweb.incomplete': { kind: 'unavailable', retry: true },
  'dicomweb.wrong-study': { kind: 'invalid', retry: false },

  'dicomweb.store-not-offered': { kind: 'unsupported', retry: false },

  'study.contradictory': { kind: 'invalid', retry: false },

  'inference.pixels-invalid': { kind: 'invalid', retry: false },
  'inference.slices-differ': { kind: 'invalid', retry: false },
  'inference.suv': { kind: 'unsupported', retry: false },
  'inference.spacing-missing': { kind: 'invalid', retry: false },
  'inference.window-missing': { kind: 'invalid', retry: false },
  'inference.may-not-leave': { kind: 'invalid', retry: false },
  'inference.series-too-large': { kind: 'too-large', retry: false },
  'inference.input-shape': { kind: 'invalid', retry: false },
  'inference.output-invalid': { kind: 'invalid', retry: false },
  'inference.model-missing': { kind: 'not-found', retry: false },
  'inference.model-unloadable': { kind: 'invalid', retry: false },
  'inference.run-failed': { kind: 'internal', retry: true },
  'inference.timeout': { kind: 'timeout', retry: true },
  'inference.engine-lost': { kind: 'unavailable', retry: true },
  'inference.engine-stuck': { kind: 'busy', retry: true },
  'inference.engine-refused': { kind: 'invalid', retry: false },
  'inference.engine-unavailable': { kind: 'unavailable', retry: true },

  'worklist.listeners-full': { kind: 'busy', retry: true },

  'hl7.listener': { kind: 'unavailable', retry: false },
  'hl7.unreadable': { kind: 'invalid', retry: false },
  'hl7.charset': { kind: 'invalid', retry: false },
  'hl7.delimiters': { kind: 'invalid', retry: false },
  'hl7.segment-name': { kind: 'invalid', retry: false },
  'hl7.several-messages': { kind: 'invalid', retry: false },
  'hl7.too-large': { kind: 'too-large', retry: false },
  'hl7.missing': { kind: 'invalid', retry: false },
  'hl7.value': { kind: 'invalid', retry: false },
  'hl7.unsupported-type': { kind: 'unsupported', retry: false },
  'hl7.unsupported-event': { kind: 'unsupported', retry: false },
  'hl7.unsupported-version': { kind: 'unsupported', retry: false },
  'hl7.unbuildable': { kind: 'internal', retry: false },
  'hl7.connection': { kind: 'unavailable', retry: true },
  'hl7.ack-timeout': { kind: 'timeout', retry: true },
  'hl7.ack-unreadable': { kind: 'unavailable', retry: true },
  'hl7.ack-foreign': { kind: 'unavailable', retry: true },
  'hl7.unknown-message': { kind: 'not-found', retry: false },
  'hl7.not-open': { kind: 'conflict', retry: false },
  'hl7.not-held': { kind: 'conflict', retry: false },
  'hl7.selection': { kind: 'conflict', retry: false },

  'terminology.unknown': { kind: 'not-found', retry: false },
  'terminology.unsupported': { kind: 'unsupported', retry: false },
  'terminology.too-costly': { kind: 'too-large', retry: false },
  'terminology.import': { kind: 'invalid', retry: false },

  'job.unknown': { kind: 'not-found', retry: false },
  'job.not-dead': { kind: 'conflict', retry: false },

  'order.other-patient': { kind: 'conflict', retry: false },
  'merge.same-patient': { kind: 'conflict', retry: false },
  'merge.reversed': { kind: 'conflict', retry: false },
  'merge.already-merged': { kind: 'conflict', retry: false },

  'ris.profile': { kind: 'invalid', retry: false },
  'ris.not-sendable': { kind: 'invalid', retry: false },
  'ris.destinations': { kind: 'invalid', retry: false },
  'ris.unknown-message': { kind: 'not-found', retry: false },
  'ris.unknown-destination': { kind: 'not-found', retry: false },
  'ris.in-flight': { kind: 'conflict', retry: false },
  'ris.same-destination': { kind: 'conflict', retry: false },
  'ris.newer-sent': { kind: 'conflict', retry: false },
  'ris.bytes-dropped': { kind: 'conflict', retry: false },
  'ris.final-seen': { kind: 'conflict', retry: false },

  'pacs.not-describable': { kind: 'invalid', retry: false },

  internal: { kind: 'internal', retry: true },
} as const satisfies Record<string, FailureClass>;

export type FailureKind =
  | 'invalid'
  | 'unsupported'
  | 'not-found'
  | 'gone'
  | 'conflict'
  | 'precondition'
  | 'too-large'
  | 'not-acceptable'
  | 'media-type'
  | 'unauthorized'
  | 'forbidden'
  | 'busy'
  | 'unavailable'
  | 'timeout'
  | 'internal';

export interface FailureClass {
  readonly kind: FailureKind;
  /** May the same input succeed later? */
  readonly retry: boolean;
}

export type FailureCode = keyof typeof FAILURES;

/** One thing that is wrong, for failures that name all faults at once. Never carries patient data. */
export interface FailureIssue {
  /** What is wrong and what to do about it. */
  readonly text: string;
  /** Where: a FHIRPath expression, a setting's name, a manifest path. */
  readonly at?: string;
  /** FHIR IssueType, when the door is FHIR. */
  readonly type?: string;
}

/**
 * A failure with a documented code. The message says what to do and never repeats the value that was refused:
 * messages reach logs, and values may be patient data.
 */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly kind: FailureKind;
  readonly retry: boolean;
  readonly issues: readonly FailureIssue[];

  // No parameter property: decoding workers load this file by type stripping, which knows none.
  constructor(
    code: FailureCode,
    message: string,
    options: { issues?: readonly FailureIssue[]; cause?: unknown; retry?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.code = code;
    this.kind = FAILURES[code].kind;
    this.retry = options.retry ?? FAILURES[code].retry;
    this.issues = options.issues ?? [];
  }
}
