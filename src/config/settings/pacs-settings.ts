import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** The PACS, and when a study there counts as complete. Part of `SETTINGS`. */
export const PACS_SETTINGS = {
  DICOMWEB_URL: {
    kind: kinds.optionalUrl(['http:', 'https:']),
    default: '',
    means: 'DICOMweb service root of the PACS. Empty: the embedded archive under /dicomweb.',
  },
  DICOMWEB_TOKEN: { kind: kinds.secret, default: '', means: 'Bearer token sent to DICOMWEB_URL.' },
  DICOMWEB_USER: {
    kind: kinds.text,
    default: '',
    means: 'User for HTTP Basic at DICOMWEB_URL (with DICOMWEB_PASSWORD).',
  },
  DICOMWEB_PASSWORD: { kind: kinds.secret, default: '', means: 'Password for HTTP Basic at DICOMWEB_URL.' },
  PACS_OBJECTS: {
    kind: kinds.list(['none', 'sr', 'seg', 'sc']),
    default: 'sr,seg',
    means:
      'What of each result is stored in the PACS by STOW-RS: sr (structured report), seg (segmentation of masks), sc (picture with the finding drawn). none: nothing new, for a PACS without STOW-RS; what was stored before is still rejected by a note when the result is withdrawn or says something else.',
  },
  STUDY_LOOK_INTERVAL_MS: {
    kind: kinds.integer(50, 3_600_000),
    default: '10000',
    means: 'Time between two looks at the PACS for new or growing studies.',
  },
  STUDY_QUIET_MS: {
    kind: kinds.integer(0, 86_400_000),
    default: '30000',
    means: 'A study is complete when its instance count stood still over two looks and this long.',
  },
  STUDY_LOOK_BACK_HOURS: {
    kind: kinds.integer(1, 720),
    default: '48',
    means: 'How far back by study date a look at the PACS reaches.',
  },
  SITE_TIME_ZONE: {
    kind: kinds.timeZone,
    default: '',
    means:
      'Time zone of DICOM and HL7 times that carry none, as IANA name (Europe/Vienna). Empty: of such times only the date is kept. Results to a receiver whose profile leaves the offset out are written in it, else in UTC.',
  },
} as const satisfies Record<string, SettingDefinition>;
