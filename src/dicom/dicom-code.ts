/** A code as DICOM writes it (PS3.3 8.8): value, coding scheme designator, meaning. */
export interface DicomCode {
  readonly value: string;
  /** `DCM`, `SCT`, `LN`, `UCUM`, `RADLEX`, or our own. */
  readonly scheme: string;
  readonly meaning: string;
  /** Codes of other schemes that mean exactly the same. */
  readonly equivalents?: readonly DicomCode[];
}

/** Our own coding scheme: keys of findings, labels of masks, the score. PS3.16 8.2 keeps names that begin with 99 for private use. */
export const OWN_SCHEME = '99PRELIM';

/** CodeValue is SH; longer ones go into LongCodeValue. */
export const CODE_VALUE_CHARACTERS_MAX = 16;
/** CodeMeaning is LO. */
export const MEANING_CHARACTERS_MAX = 64;

export const dcm = (value: string, meaning: string): DicomCode => ({ value, scheme: 'DCM', meaning });
export const sct = (value: string, meaning: string): DicomCode => ({ value, scheme: 'SCT', meaning });
export const ownCode = (value: string, meaning: string): DicomCode => ({
  value,
  scheme: OWN_SCHEME,
  meaning,
});

/** One item of a code sequence. */
export function codeItem(code: DicomCode): Readonly<Record<string, unknown>> {
  const { value, scheme, meaning, equivalents = [] } = code;
  return {
    ...(value.length > CODE_VALUE_CHARACTERS_MAX ? { LongCodeValue: value } : { CodeValue: value }),
    CodingSchemeDesignator: scheme,
    CodeMeaning: cutText(meaning, MEANING_CHARACTERS_MAX),
    ...(equivalents.length > 0 ? { EquivalentCodeSequence: equivalents.map(codeItem) } : {}),
  };
}

/** Text for a VR with a length; backslashes would divide it, control characters are not allowed in it. */
export function cutText(text: string, charactersMax: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const plain = text.replaceAll('\\', '/').replaceAll(/[\u0000-\u001f\u007f]+/g, ' ');
  return [...plain].slice(0, charactersMax).join('').trim();
}
