const OWN_SETTING = 'has settings of its own: what a result is worth is not overridden';
const KEPT = 'is written by the server: answers are matched and versions told apart by it';

/** A profile may not make a preliminary result look final, nor break the match of message and answer. */
export const FIELDS_KEPT: Readonly<Record<string, string>> = {
  'MSH-1': KEPT,
  'MSH-2': KEPT,
  'MSH-7': KEPT,
  'MSH-9': KEPT,
  'MSH-10': KEPT,
  'MSH-15': 'has a setting of its own: ackMode',
  'MSH-16': 'has a setting of its own: ackMode',
  'MSH-18': 'has a setting of its own: charset',
  'OBR-22': KEPT,
  'OBR-25': OWN_SETTING,
  'OBX-1': 'is counted by the server',
  'OBX-11': OWN_SETTING,
  'ORC-5': OWN_SETTING,
};

/** Segments that are never dropped whole: without them nobody knows of whom or of what the result is, and it could not be taken back. */
export const SEGMENTS_KEPT: Readonly<Record<string, string>> = {
  MSH: KEPT,
  PID: 'says whose result it is: only its fields are dropped',
  OBR: KEPT,
  OBX: 'is the result, and what takes it back: codedResults, sections, studyUid, pdf, pictures and links say what is left out',
};
