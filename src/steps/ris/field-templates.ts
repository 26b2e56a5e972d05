/** Text with numbers of the record in it: `{accession}` and the like. */
export type TemplateValues = Readonly<Record<string, string>>;

/** Names in braces. */
export const placeholdersOf = (template: string): string[] =>
  [...template.matchAll(PLACEHOLDER)].map(([, name = '']) => name);

/** With what stands for each of them. */
export const filled = (template: string, toValue: (name: string) => string): string =>
  template.replace(PLACEHOLDER, (_all, name: string) => toValue(name));

/** What is wrong with each name that stands for nothing. */
export const unknownValues = (template: string): string[] =>
  placeholdersOf(template).flatMap((name) => (TEMPLATE_VALUES.includes(name) ? [] : [UNKNOWN_VALUE]));

const PLACEHOLDER = /\{(\w+)\}/g;

const TEMPLATE_VALUES = ['accession', 'mrn', 'placer', 'filler', 'reportId', 'studyUid', 'visit'];
const UNKNOWN_VALUE = `fills in ${TEMPLATE_VALUES.map((name) => `{${name}}`).join(', ')} and no other name`;
