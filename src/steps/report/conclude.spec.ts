import { expect, it } from 'vitest';
import { conclude, NOT_REVIEWED } from './conclude.ts';

it('a warning of the gate stands in the text of the report, before the caution', () => {
  const warnings = [{ rule: 'kernel', observed: 'a kernel with B70', required: 'none with B70' }];
  expect(conclude([], 'A caution.', warnings)).toBe(
    `${NOT_REVIEWED} Image quality warnings: kernel: observed a kernel with B70; required none with B70. A caution.`,
  );
  expect(conclude([], 'A caution.')).toBe(`${NOT_REVIEWED} A caution.`);
});
