import type { RequiredSet } from '../definitions/definitions.ts';

/** Is it a well-formed language tag (BCP 47, RFC 5646 2.1), such as `de-CH`? Whether its parts are registered is not asked. */
export function isLanguageTag(tag: string): boolean {
  try {
    Intl.getCanonicalLocales(tag);
    return true;
  } catch {
    // Unicode's locales leave these two forms out.
    return PRIVATE.test(tag) || IRREGULAR.has(tag.toLowerCase());
  }
}

const PRIVATE = /^x(?:-[a-z0-9]{1,8})+$/i;
/** RFC 5646 2.1, `irregular`. */
const IRREGULAR: ReadonlySet<string> = new Set(
  'en-gb-oed i-ami i-bnn i-default i-enochian i-hak i-klingon i-lux i-mingo i-navajo i-pwn i-tao i-tay i-tsu sgn-be-fr sgn-be-nl sgn-ch-de'.split(
    ' ',
  ),
);

/** http://hl7.org/fhir/ValueSet/all-languages: rules, no list. */
class LanguageTags extends Set<string> {
  override has(tag: string): boolean {
    return isLanguageTag(tag);
  }
}

export const LANGUAGE_TAGS: RequiredSet = { codes: new LanguageTags(), codings: new Set() };
