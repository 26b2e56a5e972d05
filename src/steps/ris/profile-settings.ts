/**
 * Everything in which real receivers of results contradict each other, as settings of one destination. The schema
 * (`ris-profiles/ris-profile-1.schema.json`) says what each may be; the default is IHE's reading where there is one.
 */
export interface RisProfile {
  readonly title: string;
  /** The site's own version of the profile; '' for none. */
  readonly profileVersion: string;
  /** MSH-3 to MSH-6: receivers route on them. */
  readonly sendingApplication: string;
  readonly sendingFacility: string;
  readonly receivingApplication: string;
  readonly receivingFacility: string;
  readonly version: '2.3.1' | '2.4' | '2.5' | '2.5.1';
  readonly processingId: 'P' | 'T' | 'D';
  readonly charset: 'UNICODE UTF-8' | '8859/1' | 'ASCII';
  /** One character for letters the character set lacks; null writes them as `\X..\`. */
  readonly replacement: string | null;
  /** IANA name of the zone times are written in. */
  readonly timeZone: string;
  /** Write `+0000` after times; some receivers refuse it. */
  readonly zoneOffset: boolean;
  /**
   * OBR-3 and ORC-3. Receivers replace the result that has the same number: `order` and `accession` can overwrite the
   * radiologist's own report, so they are only for receivers that are known not to.
   */
  readonly fillerNumber: 'own' | 'order' | 'accession';
  readonly accession: 'OBR-18' | 'OBR-20' | 'ORC-3' | 'none';
  /** One HD makes dcm4chee read the whole message as RAD-28. `RAD-28` writes all UIDs of that transaction. */
  readonly studyUid: 'ST' | 'HD' | 'RAD-28' | 'none';
  readonly narrative: 'TX-lines' | 'TX-repetitions' | 'FT' | 'NTE';
  readonly sections: readonly SectionName[];
  /** OBX-3 of text: LOINC, or the order's code with the chapter 7 suffix, or the words of RAD-28. */
  readonly sectionCodes: 'LOINC' | 'suffix' | 'SR Text';
  /** `false`: findings as lines of text, for receivers that show codes badly. */
  readonly codedResults: boolean;
  /** OBR-25 of a preliminary result. R is the honest word ("stored, not verified"), but makes some receivers delete earlier ones. */
  readonly preliminaryStatus: 'P' | 'R';
  /** OBR-25 of a result with parts to come. FHIR has no target for A. */
  readonly partialStatus: 'P' | 'A';
  /** OBR-25 of a correction before the final. Few receivers know M. */
  readonly earlyCorrectionStatus: 'P' | 'M';
  readonly wrongPatientStatus: 'X' | 'C';
  /** OBX-11 C on the lines that changed and F on the rest, or C on all. */
  readonly correctedLines: 'changed' | 'all';
  /** Lines that an earlier message had and the record has no more. */
  readonly withdrawnLines: 'D' | 'omit';
  /** A late preliminary result can overwrite the radiologist's final at receivers that match by accession. */
  readonly preliminaryAfterFinal: boolean;
  readonly radlexName: 'RADLEX' | '99RADLEX';
  /** Send AA and HH as they are; else as A and H, because they may page somebody. */
  readonly criticalFlags: boolean;
  /** OBX-5 of an embedded PDF; receivers compare case. */
  readonly pdf: 'Application^PDF' | 'application^pdf' | 'AP^PDF' | 'none';
  readonly pictures: 'IM' | 'Image' | 'none';
  /** Characters of an OBX-5; what is larger becomes a link, or a line of text that says so. */
  readonly edCharactersMax: number;
  /** Links with `{reportId}`, `{accession}` and `{studyUid}` to fill in; '' for none. */
  readonly reportUrl: string;
  readonly viewerUrl: string;
  readonly links: 'RP' | 'none';
  readonly trailingSeparator: boolean;
  readonly finalCarriageReturn: boolean;
  /** Pause between two messages, for receivers that need one. */
  readonly minGapMs: number;
  /** Connections beside each other; many receivers take one only. */
  readonly connectionsMax: number;
  readonly ackMode: 'original' | 'enhanced';
  /** CA says "safely stored" and nothing more; only where the two ends agree is it enough. */
  readonly commitIsSuccess: boolean;
  readonly onError: 'retry' | 'hold-lane' | 'dead-letter';
  readonly errorsMax: number;
  readonly onReject: 'dead-letter' | 'hold-lane' | 'retry';
  readonly tables: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly overrides: readonly (FieldOverride | SegmentAddition)[];
}

export type SectionName = 'impression' | 'findings' | 'report';

/** One change of the finished message; exactly one of `set`, `drop`, `copy`, `constant`, `lookup`. */
export interface FieldOverride {
  /** `PID-3.4`, `OBX(2)-5`, `NTE`. */
  readonly at: string;
  readonly where?: { readonly field: string; readonly equals: string };
  readonly set?: string;
  readonly drop?: true;
  readonly copy?: string;
  readonly constant?: string;
  readonly lookup?: string;
  readonly otherwise?: string;
}

/** A segment that the message does not have. */
export interface SegmentAddition {
  readonly add: string;
  /** The last segment of this name. */
  readonly after: string;
  /** Text by place in the segment (`1`, `3(2)`, `1.4`), with numbers of the record to fill in as in `set`. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** A profile with its name and the version of its content, which each message keeps. */
export interface ReadProfile {
  readonly name: string;
  readonly profile: RisProfile;
  readonly version: string;
}
