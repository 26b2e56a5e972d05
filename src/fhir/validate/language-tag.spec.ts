import { describe, expect, it } from 'vitest';
import { isLanguageTag } from './language-tag.ts';

describe('a language tag', () => {
  it.each([
    'en',
    'de-CH',
    'zh-Hant-TW',
    'sl-rozaj-biske',
    'de-DE-u-co-phonebk',
    'x-our-own',
    'i-klingon',
    'EN-us',
  ])('may be %s', (tag) => expect(isLanguageTag(tag)).toBe(true));
  it.each(['', 'x', 'en_US', 'en-', '-en', 'e', 'German (Swiss)', 'en-toolongpart', 'x-'])(
    'may not be "%s"',
    (tag) => expect(isLanguageTag(tag)).toBe(false),
  );
});
