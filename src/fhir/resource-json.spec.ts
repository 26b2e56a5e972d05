import { describe, expect, it } from 'vitest';
import { copyHolder, parseJson, printJson } from './resource-json.ts';

const SPELLED = [
  ...['0', '-0', '1', '10', '100', '1.0', '1.10', '-1.50', '-0.0', '5.5', '-7.25', '0.000001', '0.0000001'],
  ...['0.00000010', '1e5', '1E5', '1E+3', '1.5e-7', '1e21', '123456789012345', '1234567890123456'],
  ...['12345678901234567890', '100000000000000000000000', '0.1234567890123456', '1.000000000000001'],
];

describe('numbers in JSON', () => {
  it.each(SPELLED)('%s comes back as it was written, wherever it stands', (number) => {
    const texts = [
      `{"a":${number}}`,
      `{"a":[${number},${number}]}`,
      `{"a":{"b":1,"c":${number}},"d":"0199-1e5a"}`,
      `[${number}]`,
    ];
    for (const text of texts) expect(printJson(parseJson(text) as object)).toBe(text);
    expect((parseJson(`{"a" : ${number} }`) as { a: number }).a).toBe(Number(number));
  });

  it('keep their spelling in a copy, and lose it with their value', () => {
    const copy = copyHolder(parseJson('{"a":1.10,"b":2.50}') as { a: number; b: number });
    copy.b = 2.75;
    expect(printJson(copy)).toBe('{"a":1.10,"b":2.75}');
  });
});
