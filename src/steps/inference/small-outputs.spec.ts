import { expect, test } from 'vitest';
import type { ModelOutput } from '../../governance/manifest.ts';
import { smallOutputs } from './small-outputs.ts';

const scores: ModelOutput = {
  name: 'scores',
  kind: 'classification',
  labels: ['a', 'b'],
  gives: 'probabilities',
  activation: 'none',
};
const volume: ModelOutput = { name: 'volume', kind: 'measurement', unit: 'mL' };
const mask: ModelOutput = { name: 'mask', kind: 'mask', label: 'Lung' };

test('Scores and measurements go on as numbers, masks do not, and the result survives JSON', () => {
  const outputs = smallOutputs([scores, volume, mask], {
    scores: { dims: [1, 2], data: Float32Array.of(0.25, 0.75) },
    volume: { dims: [], data: Float32Array.of(4321.5) },
    mask: { dims: [1, 1, 1], data: Uint8Array.of(1) },
  });
  expect(outputs).toEqual({
    scores: { dims: [1, 2], data: [0.25, 0.75] },
    volume: { dims: [], data: [4321.5] },
  });
  expect(JSON.parse(JSON.stringify(outputs))).toEqual(outputs);
});

test.each([
  ['not a number', Float32Array.of(0.5, Number.NaN)],
  ['infinite', Float32Array.of(Number.POSITIVE_INFINITY, 0)],
  ['one too few', Float32Array.of(0.5)],
  ['one too many', Float32Array.of(0.1, 0.2, 0.7)],
])('Scores that are %s are refused by the output’s name', (_, data) => {
  expect(() => smallOutputs([scores], { scores: { dims: [data.length], data } })).toThrowError(
    expect.objectContaining({
      code: 'inference.output-invalid',
      message: expect.stringContaining('"scores"'),
    }),
  );
});

test('A missing output is refused by name', () => {
  expect(() => smallOutputs([volume], {})).toThrowError(
    expect.objectContaining({ code: 'inference.output-invalid' }),
  );
});
