/** The options of the profile (PS3.15 E.3) that are offered, each with its code in CID 7050. */
export const DEIDENTIFY_OPTIONS = {
  'retain-uids': { code: '113110', meaning: 'Retain UIDs Option' },
  'retain-device-identity': { code: '113109', meaning: 'Retain Device Identity Option' },
  'retain-institution-identity': { code: '113112', meaning: 'Retain Institution Identity Option' },
  'retain-patient-characteristics': { code: '113108', meaning: 'Retain Patient Characteristics Option' },
  'retain-modified-dates': {
    code: '113107',
    meaning: 'Retain Longitudinal Temporal Information Modified Dates Option',
  },
  'retain-safe-private': { code: '113111', meaning: 'Retain Safe Private Option' },
  'clean-descriptors': { code: '113105', meaning: 'Clean Descriptors Option' },
} as const;

export type DeidentifyOption = keyof typeof DEIDENTIFY_OPTIONS;

export const BASIC_PROFILE = {
  code: '113100',
  meaning: 'Basic Application Confidentiality Profile',
} as const;

/** Is this the name of an option? */
export const isDeidentifyOption = (name: string): name is DeidentifyOption =>
  Object.hasOwn(DEIDENTIFY_OPTIONS, name);
