import { describe, expect, it } from 'vitest';
import { timestampToSpan } from './time-span.ts';

const iso = (text: string, zone: string | null = 'Europe/Berlin') => {
  const span = timestampToSpan(text, zone);
  return span && [new Date(span.from).toISOString(), new Date(span.until).toISOString()];
};

describe('What an HL7 time covers', () => {
  it.each([
    ['2026', '2025-12-31T23:00:00.000Z', '2026-12-31T23:00:00.000Z'],
    ['202602', '2026-01-31T23:00:00.000Z', '2026-02-28T23:00:00.000Z'],
    ['20260715', '2026-07-14T22:00:00.000Z', '2026-07-15T22:00:00.000Z'],
    ['2026071510', '2026-07-15T08:00:00.000Z', '2026-07-15T09:00:00.000Z'],
    ['202607151015', '2026-07-15T08:15:00.000Z', '2026-07-15T08:16:00.000Z'],
    ['20260715101522', '2026-07-15T08:15:22.000Z', '2026-07-15T08:15:23.000Z'],
    ['20260715101522.1234', '2026-07-15T08:15:22.123Z', '2026-07-15T08:15:22.124Z'],
    ['20260715101522.5-0330', '2026-07-15T13:45:22.500Z', '2026-07-15T13:45:22.501Z'],
  ])('%s goes from %s to %s', (text, from, until) => {
    expect(iso(text)).toEqual([from, until]);
  });

  it('is both hours where clocks are put back, and no time before it began', () => {
    expect(iso('20261025023000')).toEqual(['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:01.000Z']);
    expect(iso('20261025013000')).toEqual(['2026-10-24T23:30:00.000Z', '2026-10-24T23:30:01.000Z']);
    expect(iso('20261025033000')).toEqual(['2026-10-25T02:30:00.000Z', '2026-10-25T02:30:01.000Z']);
    expect(iso('20260329013000')).toEqual(['2026-03-29T00:30:00.000Z', '2026-03-29T00:30:01.000Z']);
    expect(iso('20260329033000')).toEqual(['2026-03-29T01:30:00.000Z', '2026-03-29T01:30:01.000Z']);
  });

  it('says where no zone is known', () => {
    expect(timestampToSpan('20260115101522', null)?.zoned).toBe(false);
    expect(timestampToSpan('20260115101522+0100', null)?.zoned).toBe(true);
    expect(timestampToSpan('20260115101522', 'UTC')?.zoned).toBe(true);
  });

  it.each(['', '""', 'today', '20261301', '2026011525'])('is none of "%s"', (text) => {
    expect(timestampToSpan(text, 'UTC')).toBeNull();
  });
});
