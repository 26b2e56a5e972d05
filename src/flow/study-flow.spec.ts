import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { STUDY_FLOW } from './study-flow.ts';

const file = (path: string) => readFileSync(resolve(import.meta.dirname, '../..', path), 'utf8');

/** What somebody with an alarm at night looks up. */
it('the page of the operator names every metric, every step, and how often each is tried', () => {
  const page = file('docs/operator.md');
  const metrics = [...file('src/metrics.controller.ts').matchAll(/name: '(prelim_\w+)'/g)].map(
    ([, name]) => name,
  );
  expect(metrics.length).toBeGreaterThan(5);
  const [, table = ''] = page.split('| metric | meaning |');
  expect(metrics.filter((name) => !table.includes(`\`${name}`))).toEqual([]);
  const [, sentence = ''] = /The steps are ([^.]*)\./.exec(page) ?? [];
  expect([...sentence.matchAll(/`([a-z-]+)`/g)].map(([, step]) => step).sort()).toEqual(
    STUDY_FLOW.map(({ step }) => step).sort(),
  );
  const [, after = ''] = page.split('| step | runs | | step | runs |');
  const [runs = ''] = after.split('\n\n');
  const told = [...runs.matchAll(/([a-z][a-z, -]*) \| (\d+)/g)].flatMap(([, steps = '', count]) =>
    steps.split(', ').map((step) => `${step.trim()} ${count}`),
  );
  expect(told.sort()).toEqual(STUDY_FLOW.map(({ step, attemptsMax }) => `${step} ${attemptsMax}`).sort());
});
