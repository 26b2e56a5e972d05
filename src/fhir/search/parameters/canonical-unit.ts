import { createRequire } from 'node:module';

/** A unit in base units: `value * factor + offset` is the value in `code`. Decimal texts. */
export interface CanonicalUnit {
  /** Base units with their powers: `g1.m-3`; `1` for a plain ratio. */
  readonly code: string;
  readonly factor: string;
  readonly offset: string;
}

/** Longer codes are no units that anybody uses, but would make the parser work. */
export const UNIT_CHARACTERS_MAX = 100;
/** Units known at the same time. A site uses some hundred; a client that invents them must not fill the memory. */
export const UNITS_KEPT_MAX = 5_000;

const known = new Map<string, CanonicalUnit | null>();

/**
 * The base units of a UCUM code (ucum.org §20 and following). Null: not convertible, found by its code only: unknown codes, arbitrary units
 * (`[iU]`), mere annotations (`{score}`), and units on other than a straight scale (`[pH]`, `dB`). The library takes 50 ms to load and up to a
 * millisecond per unit, so it is loaded when the first unit is met and each unit is asked for once.
 */
export function canonicalUnit(code: string): CanonicalUnit | null {
  let found = known.get(code);
  if (found === undefined) {
    found = convertible(code) ? convert(code) : null;
    if (known.size >= UNITS_KEPT_MAX) known.clear();
    known.set(code, found);
  }
  return found;
}

const convertible = (code: string): boolean =>
  code !== '' && !/\s/.test(code) && code.length <= UNIT_CHARACTERS_MAX && !/^(\{[^}]*\})+$/.test(code);

/** What we use of `@lhncbc/ucum-lhc`, which comes without types. */
interface Ucum {
  convertToBaseUnits(code: string, value: number): BaseUnits;
}

interface BaseUnits {
  readonly status: string;
  readonly magnitude?: number;
  readonly unitToExp?: Readonly<Record<string, number>>;
}

let library: Ucum | undefined;

function ucum(): Ucum {
  library ??= (
    createRequire(import.meta.url)('@lhncbc/ucum-lhc') as { UcumLhcUtils: { getInstance(): Ucum } }
  ).UcumLhcUtils.getInstance();
  return library;
}

/** Digits that a double holds for certain: what comes after them is noise of the library's arithmetic. */
const DIGITS = 15;

function convert(code: string): CanonicalUnit | null {
  // Two points make a line; the third shows whether it is one.
  const [zero, one, two] = silently(() => [0, 1, 2].map((value) => baseOf(code, value)));
  if (!zero || !one || !two) return null;
  const factor = one.value - zero.value;
  const straight = Math.abs(two.value - one.value - factor) <= Math.abs(factor) * 1e-9;
  if (!straight || factor === 0 || !Number.isFinite(factor)) return null;
  return { code: one.code, factor: decimal(factor), offset: decimal(zero.value) };
}

/** The library prints what it cannot read, and what it is asked for comes from requests: patient data could stand in our output. */
function silently<T>(work: () => T): T {
  const { log } = console;
  console.log = () => undefined;
  try {
    return work();
  } finally {
    console.log = log;
  }
}

const decimal = (value: number): string => String(Number(value.toPrecision(DIGITS)));

function baseOf(code: string, value: number): { value: number; code: string } | null {
  try {
    const { status, magnitude, unitToExp } = ucum().convertToBaseUnits(code, value);
    if (status !== 'succeeded' || magnitude === undefined || !Number.isFinite(magnitude)) return null;
    const powers = Object.entries(unitToExp ?? {}).filter(([, power]) => power !== 0);
    const text = powers
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([unit, power]) => `${unit}${power}`)
      .join('.');
    return { value: magnitude, code: text || '1' };
  } catch {
    return null;
  }
}
