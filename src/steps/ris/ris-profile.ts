import { Failure, type FailureIssue } from '../../kernel/errors.ts';

/**
 * Everything in which real receivers of results contradict each other, as settings of one destination. The default is IHE's
 * reading where there is one.
 */
export interface RisProfile {
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
  readonly accession: 'OBR-18' | 'OBR-20' | 'none';
  /** One HD makes dcm4chee read the whole message as RAD-28. */
  readonly studyUid: 'ST' | 'HD' | 'none';
  readonly narrative: 'TX-lines' | 'TX-repetitions' | 'FT' | 'NTE';
  /** `false`: findings as lines of text, for receivers that show codes badly. */
  readonly codedResults: boolean;
  /** OBR-25 of a preliminary result. R is the honest word ("stored, not verified"), but makes some receivers delete earlier ones. */
  readonly preliminaryStatus: 'P' | 'R';
  /** OBX-3 of text: LOINC, or the order's code with the suffix `&IMP` (chapter 7). */
  readonly sectionCodes: 'LOINC' | 'suffix';
  readonly radlexName: 'RADLEX' | '99RADLEX';
  /** Send AA and HH as they are; else as A and H, because they may page somebody. */
  readonly criticalFlags: boolean;
  /** OBX-5 of an embedded PDF; receivers compare case. */
  readonly pdf: 'Application^PDF' | 'application^pdf' | 'none';
  readonly trailingSeparator: boolean;
  readonly finalCarriageReturn: boolean;
  /** Pause between two messages, for receivers that need one. */
  readonly minGapMs: number;
  /** Connections beside each other; many receivers take one only. */
  readonly connectionsMax: number;
}

/** nHapi refuses an OBX-5 longer than 65,536 characters; a larger PDF is left out. */
export const PDF_CHARACTERS_MAX = 65_000;
/** More connections than this are no profile but a flood. */
export const RIS_CONNECTIONS_MAX = 32;

export const DEFAULT_RIS_PROFILE: RisProfile = {
  sendingApplication: 'PRELIM',
  sendingFacility: 'RADIOLOGY',
  receivingApplication: 'RIS',
  receivingFacility: 'HOSPITAL',
  version: '2.5.1',
  processingId: 'P',
  charset: 'UNICODE UTF-8',
  replacement: null,
  timeZone: 'UTC',
  zoneOffset: true,
  fillerNumber: 'own',
  accession: 'OBR-18',
  studyUid: 'ST',
  narrative: 'TX-lines',
  codedResults: true,
  preliminaryStatus: 'P',
  sectionCodes: 'LOINC',
  radlexName: 'RADLEX',
  criticalFlags: false,
  pdf: 'Application^PDF',
  trailingSeparator: false,
  finalCarriageReturn: true,
  minGapMs: 0,
  connectionsMax: 1,
};

/** A profile from settings given by a person; what is left out is the default. Throws `ris.profile` that names every fault. */
export function readRisProfile(given: Readonly<Record<string, unknown>>): RisProfile {
  const issues: FailureIssue[] = [];
  for (const [name, value] of Object.entries(given)) {
    const rule = RULES[name as keyof RisProfile];
    const wrong = rule === undefined ? 'is no setting of a RIS profile' : rule(value);
    if (wrong !== null) issues.push({ at: name, text: wrong });
  }
  if (issues.length > 0) {
    const lines = issues.map((issue) => `${issue.at} ${issue.text}`).join('; ');
    throw new Failure('ris.profile', `The RIS profile has ${issues.length} fault(s): ${lines}.`, { issues });
  }
  return { ...DEFAULT_RIS_PROFILE, ...(given as Partial<RisProfile>) };
}

/** null: the value is good; else what it must be. */
type Rule = (value: unknown) => string | null;

const oneOf =
  (...allowed: readonly unknown[]): Rule =>
  (value) =>
    allowed.includes(value) ? null : `must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`;
const flag: Rule = oneOf(true, false);
/** Longer names of applications are slips of the pen. */
const name: Rule = (value) =>
  typeof value === 'string' && value.length >= 1 && value.length <= 50
    ? null
    : 'must be a text of 1 to 50 characters';
const integer =
  (min: number, max: number): Rule =>
  (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? null
      : `must be a whole number from ${min} to ${max}`;

const RULES: Readonly<Record<keyof RisProfile, Rule>> = {
  sendingApplication: name,
  sendingFacility: name,
  receivingApplication: name,
  receivingFacility: name,
  version: oneOf('2.3.1', '2.4', '2.5', '2.5.1'),
  processingId: oneOf('P', 'T', 'D'),
  charset: oneOf('UNICODE UTF-8', '8859/1', 'ASCII'),
  replacement: (value) =>
    value === null || (typeof value === 'string' && /^[ -~]$/.test(value))
      ? null
      : 'must be null or one ASCII character',
  timeZone: (value) => (isTimeZone(value) ? null : 'must be a time zone such as "Europe/Berlin"'),
  zoneOffset: flag,
  fillerNumber: oneOf('own', 'order', 'accession'),
  accession: oneOf('OBR-18', 'OBR-20', 'none'),
  studyUid: oneOf('ST', 'HD', 'none'),
  narrative: oneOf('TX-lines', 'TX-repetitions', 'FT', 'NTE'),
  codedResults: flag,
  preliminaryStatus: oneOf('P', 'R'),
  sectionCodes: oneOf('LOINC', 'suffix'),
  radlexName: oneOf('RADLEX', '99RADLEX'),
  criticalFlags: flag,
  pdf: oneOf('Application^PDF', 'application^pdf', 'none'),
  trailingSeparator: flag,
  finalCarriageReturn: flag,
  minGapMs: integer(0, 60_000),
  connectionsMax: integer(1, RIS_CONNECTIONS_MAX),
};

function isTimeZone(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return true;
  } catch {
    return false;
  }
}
