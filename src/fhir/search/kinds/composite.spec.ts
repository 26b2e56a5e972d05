import type { Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { storedResources } from '../../../../test/stored-resources.ts';
import { definitions } from '../../definitions/definitions.ts';
import { searchParametersOf } from '../search-parameters.ts';

const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';
const concept = (system: string | undefined, code: string): object => ({ coding: [{ system, code }] });
const mmHg = (value: number): object => ({ value, system: UCUM, code: 'mm[Hg]' });
const observation = (id: string, more: object): Resource =>
  ({ resourceType: 'Observation', id, status: 'final', code: { text: 'x' }, ...more }) as Resource;

const FIXTURES: Resource[] = [
  observation('bp', {
    code: concept(LOINC, '85354-9'),
    component: [
      { code: concept(LOINC, '8480-6'), valueQuantity: mmHg(120) },
      { code: concept(LOINC, '8462-4'), valueQuantity: mmHg(80) },
      { code: concept(LOINC, 'arm'), valueCodeableConcept: concept('urn:a', 'left') },
      { code: concept(LOINC, 'cuff'), valueCodeableConcept: concept('urn:a', 'large') },
    ],
  }),
  // Two components with one value: each keeps its own code.
  observation('same', {
    component: [
      { code: concept(LOINC, '8480-6'), valueQuantity: mmHg(100) },
      { code: concept(LOINC, '8462-4'), valueQuantity: mmHg(100) },
    ],
  }),
  observation('hr', {
    code: concept(LOINC, '8867-4'),
    valueQuantity: { value: 80, system: UCUM, code: '/min' },
  }),
  observation('dated', { code: concept(LOINC, 'due'), valueDateTime: '2024-05-05' }),
  observation('said', { code: concept(LOINC, 'note'), valueString: 'Größer als 5' }),
  observation('finding', { code: concept(LOINC, 'f'), valueCodeableConcept: concept('urn:a', 'left') }),
  {
    resourceType: 'Group',
    id: 'g',
    type: 'person',
    actual: true,
    characteristic: [
      { code: concept('urn:c', 'gender'), valueCodeableConcept: concept('urn:g', 'mixed'), exclude: false },
      { code: concept('urn:c', 'owner'), valueBoolean: true, exclude: false },
    ],
  } as unknown as Resource,
  {
    resourceType: 'ValueSet',
    id: 'v',
    status: 'draft',
    useContext: [
      { code: { system: 'urn:u', code: 'age' }, valueRange: { low: { value: 1 }, high: { value: 5 } } },
      { code: { system: 'urn:u', code: 'focus' }, valueCodeableConcept: concept('urn:f', 'x') },
      { code: { system: 'urn:u', code: 'weight' }, valueQuantity: { value: 70 } },
    ],
  } as unknown as Resource,
  {
    resourceType: 'DocumentReference',
    id: 'doc',
    status: 'current',
    content: [{ attachment: { url: 'urn:x' } }],
    relatesTo: [
      { code: 'replaces', target: { reference: 'DocumentReference/old' } },
      { code: 'appends', target: { reference: 'DocumentReference/big' } },
    ],
  } as Resource,
  {
    resourceType: 'MolecularSequence',
    id: 'm',
    coordinateSystem: 0,
    referenceSeq: { chromosome: concept('urn:chr', '7'), windowStart: 10, windowEnd: 90 },
    variant: [
      { start: 20, end: 25 },
      { start: 50, end: 60 },
    ],
  } as Resource,
];

const stored = storedResources(FIXTURES);
const { ids } = stored;

describe('composites', () => {
  it.each([
    // The resource itself is the element.
    ['Observation', 'code-value-quantity', `${LOINC}|8867-4$80`, 'hr'],
    ['Observation', 'code-value-quantity', `8867-4$gt79|${UCUM}|/min`, 'hr'],
    ['Observation', 'code-value-quantity', `8867-4$gt1|${UCUM}|Hz`, 'hr'],
    ['Observation', 'code-value-quantity', `8867-4$gt2|${UCUM}|Hz`, ''],
    ['Observation', 'code-value-quantity', '8867-4$79,8867-4$80', 'hr'],
    ['Observation', 'code-value-quantity', '8480-6$120', ''],
    ['Observation', 'code-value-concept', 'f$left', 'finding'],
    ['Observation', 'code-value-concept', `${LOINC}|f$urn:a|left`, 'finding'],
    ['Observation', 'code-value-concept', 'f$urn:b|left', ''],
    ['Observation', 'code-value-date', 'due$ge2024-05', 'dated'],
    ['Observation', 'code-value-date', 'due$lt2024-05', ''],
    ['Observation', 'code-value-string', 'note$grosser', 'said'],
    ['Observation', 'code-value-string', 'due$grosser', ''],
    // A component is the element: 80 is no systolic pressure here.
    ['Observation', 'component-code-value-quantity', '8480-6$120', 'bp'],
    ['Observation', 'component-code-value-quantity', '8480-6$80', ''],
    ['Observation', 'component-code-value-quantity', '8462-4$80', 'bp'],
    ['Observation', 'component-code-value-quantity', `${LOINC}|8480-6$gt90`, 'bp same'],
    ['Observation', 'component-code-value-quantity', `${LOINC}|8462-4$100`, 'same'],
    ['Observation', 'component-code-value-quantity', `${LOINC}|$gt110`, 'bp'],
    ['Observation', 'component-code-value-quantity', `urn:x|8480-6$120`, ''],
    ['Observation', 'component-code-value-quantity', `8480-6$lt17|${UCUM}|kPa`, 'bp same'],
    ['Observation', 'component-code-value-quantity', `8480-6$lt15|${UCUM}|kPa`, 'same'],
    ['Observation', 'component-code-value-concept', 'arm$left', 'bp'],
    ['Observation', 'component-code-value-concept', 'arm$large', ''],
    ['Observation', 'component-code-value-concept', `${LOINC}|arm$urn:a|left`, 'bp'],
    ['Observation', 'component-code-value-concept', `${LOINC}|arm$left`, 'bp'],
    ['Observation', 'component-code-value-concept', 'arm$urn:a|left', 'bp'],
    ['Observation', 'component-code-value-concept', 'urn:x|arm$left', ''],
    ['Observation', 'component-code-value-concept', 'arm$urn:x|left', ''],
    // Either.
    ['Observation', 'combo-code-value-quantity', '8480-6$120,8867-4$80', 'bp hr'],
    ['Observation', 'combo-code-value-quantity', '85354-9$80', ''],
    ['Observation', 'combo-code-value-concept', 'f$left,arm$left', 'bp finding'],
    ['Group', 'characteristic-value', 'gender$mixed', 'g'],
    ['Group', 'characteristic-value', 'owner$true', 'g'],
    ['Group', 'characteristic-value', 'owner$mixed', ''],
    ['ValueSet', 'context-type-value', 'urn:u|focus$urn:f|x', 'v'],
    ['ValueSet', 'context-type-value', 'age$x', ''],
    ['ValueSet', 'context-type-quantity', 'age$gt4', 'v'],
    ['ValueSet', 'context-type-quantity', 'age$70', ''],
    ['ValueSet', 'context-type-quantity', 'weight$70', 'v'],
    ['DocumentReference', 'relationship', 'replaces$DocumentReference/old', 'doc'],
    ['DocumentReference', 'relationship', 'replaces$old', 'doc'],
    ['DocumentReference', 'relationship', 'replaces$DocumentReference/big', ''],
    ['MolecularSequence', 'chromosome-window-coordinate', '7$ge10$le90', 'm'],
    ['MolecularSequence', 'chromosome-window-coordinate', '7$ge11$le90', ''],
    ['MolecularSequence', 'chromosome-variant-coordinate', '7$20$25', 'm'],
    ['MolecularSequence', 'chromosome-variant-coordinate', 'urn:chr|7$ge50$le60', 'm'],
    ['MolecularSequence', 'chromosome-variant-coordinate', '7$20$60', ''],
    ['MolecularSequence', 'chromosome-variant-coordinate', '8$20$25', ''],
  ])('%s?%s=%s finds: %s', async (type, code, asked, expected) => {
    expect(await ids(type, `${code}=${encodeURIComponent(asked)}`)).toBe(expected);
  });

  it.each(['x', 'x$', '$1', 'x$1$2', 'x$y'])('component-code-value-quantity=%s is refused', async (asked) => {
    await expect(
      stored.store.search('Observation', `component-code-value-quantity=${encodeURIComponent(asked)}`),
    ).rejects.toMatchObject({ code: 'fhir.invalid' });
  });

  it('missing or not', async () => {
    expect(await ids('Observation', 'component-code-value-quantity:missing=false')).toBe('bp same');
    expect(await ids('Observation', 'code-value-quantity:missing=false')).toBe('hr');
  });

  it('every composite of R4 has roots, and every part is a parameter of the type', () => {
    const wrong: string[] = [];
    let pairs = 0;
    for (const published of definitions().searchParameters.filter(({ type }) => type === 'composite')) {
      for (const type of published.base) {
        pairs += 1;
        const parameters = searchParametersOf(type);
        const roots = parameters.get(published.code)?.composite ?? [];
        if (roots.length === 0) wrong.push(`${type}.${published.code}`);
        for (const { parts } of roots)
          for (const part of parts)
            if (parameters.get(part.code)?.kind !== part.kind)
              wrong.push(`${type}.${published.code}: ${part.code}`);
      }
    }
    expect(pairs).toBe(72);
    expect(wrong).toEqual([]);
  });
});
