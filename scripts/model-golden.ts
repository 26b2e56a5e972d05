import type { RegisteredModel } from '../src/governance/check-model.ts';
import { type GoldenKit, type GoldenResult, isGood, runGoldenCase } from './run-golden-case.ts';

/** Runs all golden cases of a model and prints each. */
export async function runGoldenCases(
  model: RegisteredModel,
  kit: GoldenKit,
): Promise<{ readonly cases: number; readonly passed: number }> {
  const { golden = [] } = model.manifest;
  let passed = 0;
  for (const one of golden) {
    const result = await runGoldenCase(model, one, kit);
    printCase(result);
    if (isGood(result)) passed++;
  }
  if (golden.length === 0)
    console.log('  no golden cases: nothing shows that the numbers are the ones meant');
  return { cases: golden.length, passed };
}

function printCase(result: GoldenResult): void {
  const { name, values, fault, ms } = result;
  console.log(`  ${isGood(result) ? 'golden ok   ' : 'golden FAILS'} ${name} (${(ms / 1000).toFixed(1)} s)`);
  if (fault !== null) console.log(`    ${fault}`);
  for (const { key, expected, tolerance, got, isWithin } of values) {
    const verdict = isWithin ? 'ok' : 'outside';
    console.log(`    ${key}: expected ${expected} ± ${tolerance}, got ${got ?? 'no number'}: ${verdict}`);
  }
}
