import { Failure } from '../../../kernel/errors.ts';
import type { SqlParameters } from '../../sql-parameters.ts';
import { existsIn } from '../exists-in.ts';
import { canonicalUnit } from '../parameters/canonical-unit.ts';
import { scaled } from '../parameters/decimal.ts';
import type { SearchKind } from '../search-kind.ts';
import { splitValue, unescaped } from '../split-value.ts';
import { rowOrMark } from './present.ts';

/** Where no distance is given: a town and what lies around it. R4 leaves it to the server. */
export const NEAR_METRES = 50_000;
/** Half of the way around the Earth: further away nothing is. */
export const NEAR_METRES_MAX = 20_038_000;
/** Mean radius (IUGG). A sphere is wrong by half a per cent at most. */
const EARTH_METRES = 6_371_009;
/** A degree of latitude is nowhere shorter. */
const METRES_PER_DEGREE = 110_500;

/**
 * R4 location.html#search, `near=latitude|longitude|distance|units`: places no further away than the distance, which is in kilometres where no unit of
 * length (UCUM) is given. The only parameter of the kind "special" here. A row of `search_number` holds the latitude as `lo` and the longitude as `hi`, so that the index
 * leaves a belt around the Earth, of which the distance is worked out.
 */
export const nearKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into) {
    for (const { value } of values) {
      const { latitude, longitude } = (value ?? {}) as { latitude?: number; longitude?: number };
      if (latitude === undefined || longitude === undefined) continue;
      into.numbers.push({ param: parameter.code, lo: String(latitude), hi: String(longitude) });
    }
  },

  condition(filter, on, parameters) {
    const conditions = filter.values.map((text) => within(text, filter.parameter.code, parameters));
    return existsIn('search_number', filter.parameter, on, parameters, conditions);
  },

  present: (parameter, on, parameters) => rowOrMark('search_number', parameter, on, parameters),
};

/** Great-circle distance (haversine), which is right across the date line and the poles too. */
function within(text: string, code: string, parameters: SqlParameters): string {
  const { latitude, longitude, metres } = asked(text, code);
  const belt = metres / METRES_PER_DEGREE;
  const add = (value: number, type: string) => parameters.add(String(value), type);
  const [lat, lon] = [add(latitude, 'float8'), add(longitude, 'float8')];
  const half = (a: string, b: string) => `power(sin(radians(${a}::float8 - ${b}) / 2), 2)`;
  return `(s.lo >= ${add(latitude - belt, 'numeric')} AND s.lo <= ${add(latitude + belt, 'numeric')}
    AND ${2 * EARTH_METRES} * asin(sqrt(least(1, ${half('s.lo', lat)}
      + cos(radians(${lat})) * cos(radians(s.lo::float8)) * ${half('s.hi', lon)}))) <= ${add(metres, 'float8')})`;
}

/** The belt of latitudes that a place which is near lies in; a bit wider, since it is compared in binary. */
export function nearBelt(text: string, code: string): { from: number; to: number } {
  const { latitude, metres } = asked(text, code);
  const belt = metres / METRES_PER_DEGREE + 1e-6;
  return { from: latitude - belt, to: latitude + belt };
}

function asked(text: string, code: string): { latitude: number; longitude: number; metres: number } {
  const [latitude = '', longitude = '', distance = '', unit = '', ...more] = splitValue(text, '|').map(
    unescaped,
  );
  const isNumber = (value: string) => /^-?\d{1,8}(?:\.\d{1,15})?$/.test(value);
  if (!isNumber(latitude) || !isNumber(longitude) || more.length > 0) throw wrong(code);
  if (Math.abs(Number(latitude)) > 90 || Math.abs(Number(longitude)) > 180) throw wrong(code);
  if (distance === '')
    return { latitude: Number(latitude), longitude: Number(longitude), metres: NEAR_METRES };
  const length = canonicalUnit(unit === '' ? 'km' : unit);
  if (!isNumber(distance) || distance.startsWith('-') || length?.code !== 'm1') throw wrong(code);
  const metres = Math.min(NEAR_METRES_MAX, Number(scaled(distance, length.factor, length.offset)));
  return { latitude: Number(latitude), longitude: Number(longitude), metres };
}

const wrong = (code: string) =>
  new Failure(
    'fhir.invalid',
    `${code} wants latitude|longitude in degrees, or latitude|longitude|distance|unit with a UCUM unit of length, as in -33.8|151.2|10|km.`,
  );
