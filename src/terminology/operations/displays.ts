import type { Concept, Designation } from '../systems/code-system-view.ts';

/** RFC 4647 3.3.1: `de` takes `de` and `de-AT`. */
const speaks = (language: string | null, asked: string): boolean =>
  language !== null && (language === asked || language.toLowerCase().startsWith(`${asked.toLowerCase()}-`));

/** The name in the language asked for; where there is none, the one the code system shows. */
export function displayIn(
  concept: Concept,
  designations: readonly Designation[],
  language: string | undefined,
): string {
  if (language === undefined) return concept.display;
  return designations.find((one) => speaks(one.language, language))?.value ?? concept.display;
}

/** R4 codesystem-operation-validate-code.html: a display is right when it is any name of the concept; case and spaces do not count. */
export function displayFits(given: string, concept: Concept, designations: readonly Designation[]): boolean {
  const plain = (text: string) => text.trim().replace(/\s+/g, ' ').toLowerCase();
  return [concept.display, ...designations.map(({ value }) => value)].some(
    (name) => plain(name) === plain(given),
  );
}
