import { describe, expect, it } from 'vitest';
import { ConceptSet } from './concept-set.ts';
import { addIds, readIds, writeIds } from './id-list.ts';
import { PATTERN_CHARACTERS_MAX, safePattern } from './safe-pattern.ts';
import { askedWords, SEARCH_WORDS_MAX, wordsFit, wordsOf } from './words.ts';

const numbers = (seed: number, size: number): number[] =>
  Array.from({ length: size }, (_, at) => at).filter(
    (at) => (Math.imul(at + seed, 0x9e3779b1) >>> 28) % 3 === 0,
  );

describe('a set of concepts', () => {
  it('does what sets of numbers do', () => {
    for (const size of [0, 1, 31, 32, 33, 1_000]) {
      const [a, b] = [numbers(1, size), numbers(7, size)];
      const [x, y] = [ConceptSet.of(size, a), ConceptSet.of(size, b)];
      const all = (set: ConceptSet) => set.slice(0, size);
      expect(all(x)).toEqual(a);
      expect(all(x.union(y))).toEqual([...new Set([...a, ...b])].sort((p, q) => p - q));
      expect(all(x.intersection(y))).toEqual(a.filter((id) => b.includes(id)));
      expect(all(x.without(y))).toEqual(a.filter((id) => !b.includes(id)));
      expect(ConceptSet.all(size).count()).toBe(size);
      expect(all(ConceptSet.all(size).without(x)).length).toBe(size - a.length);
    }
  });

  it('gives any page in order, and takes no number out of range', () => {
    const ids = numbers(3, 500);
    const set = ConceptSet.of(500, [...ids, 500, 10_000, -1]);
    for (let offset = 0; offset <= ids.length; offset += 7)
      expect(set.slice(offset, 10)).toEqual(ids.slice(offset, offset + 10));
    expect(set.slice(ids.length, 10)).toEqual([]);
    expect(set.has(10_000)).toBe(false);
  });
});

describe('a list of numbers as bytes', () => {
  it.each([[[]], [[0]], [[499_999]], [[0, 1, 2, 127, 128, 129, 16_383, 16_384, 2_097_152, 2_000_000_000]]])(
    '%j comes back as it was',
    (ids) => {
      expect([...readIds(writeIds(ids))]).toEqual(ids);
      const taken: number[] = [];
      addIds(writeIds(ids), { add: (id) => taken.push(id) });
      expect(taken).toEqual(ids);
    },
  );

  it('takes one byte for a neighbour, and refuses numbers that do not ascend', () => {
    expect(writeIds(Array.from({ length: 1_000 }, (_, at) => at)).length).toBe(1_000);
    expect(() => writeIds([2, 1])).toThrow('ascend');
  });
});

describe('the words of a text', () => {
  it('are lower case, without accents and signs', () => {
    expect(wordsOf('Ménière’s Œdème [T2-weighted] 5.1')).toEqual([
      'meniere',
      's',
      'œdeme',
      't2',
      'weighted',
      '5',
      '1',
    ]);
    expect(wordsOf('¿?')).toEqual([]);
  });

  it('answer a search when each word asked for begins one of them', () => {
    expect(wordsFit(askedWords('lun NOD'), wordsOf('Nodule of lung'))).toBe(true);
    expect(wordsFit(askedWords('ung'), wordsOf('Nodule of lung'))).toBe(false);
  });

  it('asked for are few, and none that another one contains', () => {
    expect(askedWords('lung lungs lung')).toEqual(['lungs']);
    const many = Array.from({ length: 50 }, (_, at) => `${String.fromCharCode(97 + (at % 26))}${at}x`).join(
      ' ',
    );
    expect(askedWords(many)).toHaveLength(SEARCH_WORDS_MAX);
  });
});

describe('a pattern of a filter', () => {
  it.each([
    ['[A-Z]{3}', 'DEU', true],
    ['[A-Z]{3}', 'DEUX', false],
    ['^LP\\d+-\\d$', 'LP123-4', true],
    ['a.c', 'abc', true],
    ['d[a-z]*', 'dog', true],
  ])('%s against %s is %s', (pattern, text, expected) => {
    expect(safePattern(pattern)?.test(text)).toBe(expected);
  });

  it.each([
    '^(a+)+$',
    '(a|aa)*',
    'a*b*c*',
    '(?=x)',
    'a{2}{3}',
    'x'.repeat(PATTERN_CHARACTERS_MAX + 1),
    '[',
    '\\1',
    '',
  ])('%s is not taken', (pattern) => {
    expect(safePattern(pattern)).toBeNull();
  });

  it('that is taken ends quickly whatever it is held against', () => {
    const started = performance.now();
    safePattern('[a-z]*[a-y]*')?.test(`${'a'.repeat(2_000)}!`);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
