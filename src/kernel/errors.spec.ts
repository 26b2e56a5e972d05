import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FAILURES } from './errors.ts';

/** `| \`code\` | kind | yes or no | meaning |` */
const ROW = /^\| `([a-z0-9.-]+)` \| ([a-z-]+) \| (yes|no) \| (.+) \|$/gm;

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const rows = [...page.matchAll(ROW)].map(([, code, kind, retry, meaning]) => ({
  code,
  kind,
  retry,
  meaning,
}));

test('docs/errors.md has a row for every failure code, with its kind and retry, and no row for anything else', () => {
  const documented = rows.map(({ code, kind, retry }) => `${code} ${kind} ${retry}`);
  const known = Object.entries(FAILURES).map(
    ([code, { kind, retry }]) => `${code} ${kind} ${retry ? 'yes' : 'no'}`,
  );
  expect(documented.sort()).toEqual(known.sort());
});

test('every kind of failure is in the table of answers, and no other', () => {
  const answers = [...page.matchAll(/^\| ([a-z-]+) \| \d{3}/gm)].map(([, kind]) => kind);
  const kinds = new Set(Object.values(FAILURES).map(({ kind }) => kind));
  expect(answers.toSorted()).toEqual([...kinds].sort());
});

test('every row says what the code means and what to do', () => {
  for (const { code, meaning } of rows) expect(meaning?.length, code).toBeGreaterThan(30);
});
