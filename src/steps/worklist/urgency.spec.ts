import { describe, expect, test } from 'vitest';
import { compareUrgency, findUrgency, type UrgencyFacts, type UrgencyFinding } from './urgency.ts';

const finding = (facts: Partial<UrgencyFinding>): UrgencyFinding => ({
  label: 'Pneumothorax',
  presence: null,
  abnormal: false,
  actionable: null,
  ...facts,
});
const urgencyOf = (facts: Partial<UrgencyFacts>) =>
  findUrgency({ status: 'preliminary', priority: null, findings: [], ...facts });
const present = (actionable: 1 | 2 | 3 | null) =>
  finding({ presence: 'present', abnormal: true, actionable });

describe('how urgent a row is', () => {
  test('the reason names the category, how soon, and the finding', () => {
    const urgency = urgencyOf({ findings: [present(1)] });
    expect(urgency.reasons.map((reason) => reason.text)).toEqual([
      'Actionable category 1: minutes — Pneumothorax present',
    ]);
    expect(urgency).toMatchObject({ level: 'critical', word: 'Minutes' });
  });

  test.each([
    [{ findings: [present(2)] }, 'Hours'],
    [{ findings: [present(3)] }, 'Days'],
    [{ findings: [present(null)] }, 'Abnormal'],
    [{ findings: [finding({ presence: 'indeterminate' })] }, 'Unclear'],
    [{ findings: [finding({ presence: 'absent' })] }, 'Routine'],
    [{ priority: 'stat' }, 'STAT'],
    [{ priority: 'asap' }, 'ASAP'],
    [{ priority: 'urgent' }, 'Urgent'],
    [{ priority: 'routine' }, 'Routine'],
    [{ priority: 'constructor' }, 'Routine'],
    [{ status: 'reviewed', priority: 'stat', findings: [present(1)] }, 'Closed'],
    [{ status: 'retracted', findings: [present(1)] }, 'Closed'],
  ] as [Partial<UrgencyFacts>, string][])('%j is %s', (facts, word) => {
    expect(urgencyOf(facts).word).toBe(word);
  });

  test('an actionable category of a finding that is absent says nothing', () => {
    expect(urgencyOf({ findings: [finding({ presence: 'absent', actionable: 1 })] }).level).toBe('routine');
  });

  test('a STAT order stays STAT when the model finds nothing, refuses or fails', () => {
    for (const status of ['preliminary', 'refused', 'failed', 'waiting', 'running']) {
      expect(urgencyOf({ status, priority: 'stat', findings: [finding({ presence: 'absent' })] }).word).toBe(
        'STAT',
      );
    }
  });

  test('every row has a reason, also when there is nothing to say', () => {
    expect(urgencyOf({ status: 'refused' }).reasons[0]?.text).toBe('No AI result: read as ordered');
    expect(urgencyOf({ status: 'waiting' }).reasons[0]?.text).toBe('No AI result yet');
    expect(urgencyOf({}).reasons[0]?.text).toBe('No finding above its threshold');
  });
});

describe('the order of rows', () => {
  const row = (id: string, facts: Partial<UrgencyFacts>, since: string | null = '2026-01-01T10:00:00Z') => ({
    id,
    urgency: urgencyOf(facts),
    exam: { since },
  });

  test('worst reason first, then further reasons, then who waited longest, then id', () => {
    const rows = [
      row('routine', {}),
      row('hours', { findings: [present(2)] }),
      row('no time', { findings: [present(2)] }, null),
      row('hours, older', { findings: [present(2)] }, '2026-01-01T09:00:00Z'),
      row('stat', { priority: 'stat' }),
      row('stat and hours', { priority: 'stat', findings: [present(2)] }),
      row('minutes', { findings: [present(1)] }, '2026-01-01T11:00:00Z'),
      row('closed', { status: 'reviewed', findings: [present(1)] }, '2026-01-01T01:00:00Z'),
      row('b', {}, 'no date'),
      row('a', {}, 'no date'),
    ];
    const order = [
      'minutes',
      'stat and hours',
      'stat',
      'hours, older',
      'hours',
      'no time',
      'routine',
      'a',
      'b',
      'closed',
    ];
    expect(rows.sort(compareUrgency).map((one) => one.id)).toEqual(order);
    expect(
      rows
        .reverse()
        .sort(compareUrgency)
        .map((one) => one.id),
    ).toEqual(order);
  });
});
