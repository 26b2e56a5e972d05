import { describe, expect, test } from 'vitest';
import { findUrgency } from '../urgency.ts';
import type { RowFinding, WorklistRow } from '../worklist-row.ts';
import { chooseRows, moveFrom, toRowMap } from './choose-rows.ts';
import { sayBasis, sayResult, sayScore, sayValue, sayWait } from './say-row.ts';

const FINDING: RowFinding = {
  id: 'o',
  label: 'Emphysema',
  presence: null,
  score: null,
  threshold: null,
  value: null,
  unit: null,
  abnormal: false,
  actionable: null,
  codes: [],
  priors: [],
};

function row(id: string, name: string, mrn = id): WorklistRow {
  return {
    id,
    status: 'preliminary',
    stage: null,
    urgency: findUrgency({ status: 'preliminary', priority: null, findings: [] }),
    patient: { id: 'p', name, mrn, sex: null, birthDate: null, age: null },
    exam: {
      id: 's',
      description: 'XR Chest',
      modality: 'DX',
      studyInstanceUid: null,
      since: null,
      reason: null,
    },
    order: { matched: true, id: null, accession: null, priority: null },
    model: null,
    findings: [],
    conclusion: null,
    refusals: [],
    failure: null,
    warnings: [],
    report: null,
    priorStudies: null,
    picture: null,
    requestedAt: null,
    finishedAt: null,
  };
}

describe('words of the page', () => {
  test.each([
    ['2026-01-01T12:00:00Z', 'just now'],
    ['2026-01-01T12:00:30Z', 'just now'],
    ['2026-01-01T11:48:00Z', '12 min'],
    ['2026-01-01T10:25:00Z', '1 h 35'],
    ['2025-12-30T08:00:00Z', '2 d 4 h'],
    ['not a time', null],
    [null, null],
  ])('waiting since %s is said as %s', (since, words) => {
    expect(sayWait(since, Date.parse('2026-01-01T12:00:00Z'))).toBe(words);
  });

  test('numbers keep their unit, their minus and what is small', () => {
    expect(sayValue({ ...FINDING, value: -862, unit: 'HU' })).toBe('−862\u00a0HU');
    expect(sayValue({ ...FINDING, value: 12.4, unit: '%' })).toBe('12.4\u00a0%');
    expect(sayBasis({ ...FINDING, score: 0.0123, threshold: 0.0098 })).toBe(
      'score 0.012, present from\u00a00.0098',
    );
    expect([0, 0.00001, 0.07, 0.5, 1].map(sayScore)).toEqual(['0.00', '< 0.001', '0.07', '0.50', '1.00']);
    expect(sayResult(FINDING)).toBe('no value');
  });
});

describe('rows that are shown', () => {
  const rows = toRowMap([row('1', 'Müller, Zoë', 'A77'), row('2', 'Smith, Ann')]);

  test('the filter takes all words, in any order, without accents and case', () => {
    const shown = (filter: string) => chooseRows(rows, filter).map((one) => one.id);
    expect(shown('zoe MULLER')).toEqual(['1']);
    expect(shown('chest a77')).toEqual(['1']);
    expect(shown('  ')).toEqual(['1', '2']);
    expect(shown('muller smith')).toEqual([]);
    expect(shown('.*')).toEqual([]);
  });

  test('moving stops at both ends and starts at the top when nothing was selected', () => {
    const list = chooseRows(rows, '');
    expect(moveFrom(list, '1', 1)).toBe('2');
    expect(moveFrom(list, '2', 1)).toBe('2');
    expect(moveFrom(list, '1', -1)).toBe('1');
    expect(moveFrom(list, 'gone', 1)).toBe('1');
    expect(moveFrom([], '1', 1)).toBeNull();
  });
});
