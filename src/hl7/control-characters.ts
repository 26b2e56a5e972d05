/** Tab and line ends are part of a text; for the other control characters FHIR has no place, and no database takes a NUL. */
export const withoutControls = (text: string): string => text.replace(CONTROLS, '');

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f]/g;
