import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../kernel/errors.ts';
import { ValueSetComposer } from '../sets/compose-value-set.ts';
import { MemoryCodeSystem } from '../systems/memory-code-system.ts';
import { PUBLISHED_FILES, type PublishedIndex, publishedFolder } from './published-files.ts';
import { PublishedResources } from './published-resources.ts';

const published = new PublishedResources();
const index = JSON.parse(
  readFileSync(join(publishedFolder(), PUBLISHED_FILES.index), 'utf8'),
) as PublishedIndex;

const withoutVersion = (url: string) => url.replace(/\|.*$/, '');
const sources = {
  codeSystem: async (url: string) => {
    const found = await published.read('CodeSystem', withoutVersion(url), null);
    return found && new MemoryCodeSystem(found);
  },
  valueSet: (url: string) => published.read('ValueSet', withoutVersion(url), null),
};

describe('what R4 publishes', () => {
  it('is read by URL and by version, one at a time', async () => {
    const gender = await published.read('CodeSystem', 'http://hl7.org/fhir/administrative-gender', null);
    expect(gender?.concept?.map(({ code }) => code)).toEqual(['male', 'female', 'other', 'unknown']);
    expect(
      await published.read('CodeSystem', 'http://hl7.org/fhir/administrative-gender', '4.0.1'),
    ).not.toBeNull();
    expect(await published.read('CodeSystem', 'http://hl7.org/fhir/administrative-gender', '1')).toBeNull();
    expect(await published.read('ValueSet', '__proto__', null)).toBeNull();
  });

  it('every value set can be put together, or is refused with a code of its own', async () => {
    const ends = new Map<string, number>();
    for (const key of Object.keys(index).filter((name) => name.startsWith('ValueSet '))) {
      const valueSet = await published.read('ValueSet', key.slice('ValueSet '.length), null);
      let end = 'put together';
      try {
        if (valueSet) await new ValueSetComposer(sources).compose(valueSet);
      } catch (error) {
        if (!(error instanceof Failure)) throw new Error(`${key}: ${String(error)}`);
        end = error.code;
      }
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    // What is refused draws on SNOMED CT, LOINC, UCUM and others that R4 does not publish.
    // Two name a property that their code system does not declare.
    expect([...ends.keys()].sort()).toEqual([
      'put together',
      'terminology.unknown',
      'terminology.unsupported',
    ]);
    expect(ends.get('terminology.unsupported')).toBeLessThanOrEqual(3);
    expect(ends.get('put together')).toBeGreaterThan(1_150);
  });
});
