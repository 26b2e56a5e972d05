import type { Location } from '@medplum/fhirtypes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { loadDefinitions } from '../../definitions/definitions.ts';
import { ResourceStore } from '../../resource-store.ts';

let store: ResourceStore;
let close: () => Promise<void>;

const at = (id: string, latitude: number, longitude: number): Location & { id: string } => ({
  ...{ resourceType: 'Location', id },
  position: { latitude, longitude },
});

beforeAll(async () => {
  const fresh = await freshDatabase();
  close = fresh.close;
  await loadDefinitions();
  store = new ResourceStore(fresh.database, { baseUrl: 'http://127.0.0.1:8080' });
  const places = [
    at('berlin', 52.52, 13.405),
    at('potsdam', 52.3906, 13.0645),
    at('paris', 48.8566, 2.3522),
    at('suva', -18.1416, 178.4419),
    at('apia', -13.8333, -171.7667),
    at('pole', 90, 0),
    { resourceType: 'Location' as const, id: 'nowhere' },
  ];
  await fresh.database.transaction((tx) =>
    store.write(
      tx,
      places.map((resource) => ({ kind: 'update' as const, resource })),
    ),
  );
});
afterAll(() => close());

const found = async (near: string): Promise<string> => {
  const { matches } = await store.search(
    'Location',
    near.includes('=') ? near : `near=${encodeURIComponent(near)}`,
  );
  return matches
    .map(({ id }) => id)
    .sort()
    .join();
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
