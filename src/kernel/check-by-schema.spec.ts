import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { checkBySchema } from './check-by-schema.ts';

const root = join(import.meta.dirname, '..', '..');
const SHIPPED = globSync('{models,protocols,ris-profiles}/*.schema.json', { cwd: root }).sort();

describe('a check by a JSON Schema', () => {
  it('gives every fault at once, and none for what fits', () => {
    const check = checkBySchema({
      type: 'object',
      required: ['a'],
      properties: { b: { type: 'integer', maximum: 3 } },
      additionalProperties: false,
    });
    expect(check({ a: 1 }).map(({ keyword }) => keyword)).toEqual(['additionalProperties']);
    expect(check({ b: 4, c: 1 }).map(({ keyword }) => keyword)).toEqual([
      'required',
      'additionalProperties',
      'maximum',
    ]);
    expect(checkBySchema({ type: 'object' })({})).toEqual([]);
  });

  it('gives the faults of this value, also when another is checked before they are read', () => {
    const check = checkBySchema({ type: 'integer', maximum: 3 });
    const first = check('x');
    expect(check(4).map(({ keyword }) => keyword)).toEqual(['maximum']);
    expect(first.map(({ keyword }) => keyword)).toEqual(['type']);
  });

  it('costs nothing until it is asked: a schema that cannot be compiled is met then', () => {
    const check = checkBySchema({ $ref: '#/definitions/nowhere' });
    expect(() => check(1)).toThrow('nowhere');
  });
});

describe('the schemas that ship with the server, which it does not check itself', () => {
  it('are these four', () => {
    expect(SHIPPED).toEqual([
      'models/imaging-model-1.schema.json',
      'protocols/imaging-protocol-1.schema.json',
      'ris-profiles/ris-destinations-1.schema.json',
      'ris-profiles/ris-profile-1.schema.json',
    ]);
  });

  it.each(SHIPPED)('%s is a JSON Schema, and knows every word that it uses', (place) => {
    const schema = JSON.parse(readFileSync(join(root, place), 'utf8')) as object;
    const ajv = new Ajv({ strict: true, strictRequired: false, strictTypes: false, discriminator: true });
    expect(() => ajv.compile(schema)).not.toThrow();
  });
});
