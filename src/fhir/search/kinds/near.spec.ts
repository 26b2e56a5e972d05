import type { Location } from '@medplum/fhirtypes';
import { expect, it } from 'vitest';
import { storedResources } from '../../../../test/stored-resources.ts';
import { SqlParameters } from '../../sql-parameters.ts';
import { NEAR_METRES, NEAR_METRES_MAX, nearKind } from './near.ts';

const at = (id: string, latitude: number, longitude: number): Location => ({
  ...{ resourceType: 'Location', id },
  position: { latitude, longitude },
});

const stored = storedResources([
  at('berlin', 52.52, 13.405),
  at('potsdam', 52.3906, 13.0645),
  at('paris', 48.8566, 2.3522),
  at('suva', -18.1416, 178.4419),
  at('apia', -13.8333, -171.7667),
  at('pole', 90, 0),
  { resourceType: 'Location', id: 'nowhere' },
]);

const found = async (near: string): Promise<string> => {
  const query = near.includes('=') ? near : `near=${encodeURIComponent(near)}`;
  return (await stored.ids('Location', query)).replaceAll(' ', ',');
};

it.each([
  ['52.52|13.405', 'berlin,potsdam'],
  ['52.52|13.405|20', 'berlin'],
  // 27.2 km by the great circle
  ['52.52|13.405|27|km', 'berlin'],
  ['52.52|13.405|28|km', 'berlin,potsdam'],
  ['52.52|13.405|28000|m', 'berlin,potsdam'],
  ['52.52|13.405|17.5|[mi_i]', 'berlin,potsdam'],
  ['52.52|13.405|900|km', 'berlin,paris,potsdam'],
  // Across the date line: 1,140 km.
  ['-18.1416|178.4419|1200|km', 'apia,suva'],
  ['-18.1416|178.4419|1100|km', 'suva'],
  ['89.9|180|50|km', 'pole'],
  ['0|0|99999999|km', 'apia,berlin,paris,pole,potsdam,suva'],
  ['48.8566|2.3522|1,52.52|13.405|1', 'berlin,paris'],
  ['near:missing=true', 'nowhere'],
])('near %s finds %s', async (near, ids) => {
  expect(await found(near)).toBe(ids);
});

it.each([
  '52.52',
  '52.52|x',
  '91|0',
  '0|181',
  '0|0|-1|km',
  '0|0|1|kg',
  '0|0|1|parsnip',
  '0|0|1|km|x',
  '0|0|1e9|km',
  "0|0|1' OR true --|km",
])('near %s is refused in words that say how', async (near) => {
  await expect(found(near)).rejects.toMatchObject({
    code: 'fhir.invalid',
    message: expect.stringContaining('latitude|longitude'),
  });
});

it.each([
  ['none', '0|0', NEAR_METRES],
  ['one just below the largest', '0|0|20037.999|km', NEAR_METRES_MAX - 1],
  ['the largest', '0|0|20038|km', NEAR_METRES_MAX],
  ['one above it', '0|0|20038.001|km', NEAR_METRES_MAX],
])('with %s as the distance it looks within so many metres', (_name, near, metres) => {
  const parameters = new SqlParameters();
  nearKind.condition(
    { parameter: { code: 'near' }, values: [near] } as never,
    { type: 'Location', alias: 'r' } as never,
    parameters,
  );
  expect(parameters.values).toContain(String(metres));
});
