import type { Resource } from '@medplum/fhirtypes';

/**
 * JSON in and out that keeps decimals as they were written. FHIR R4 (datatypes.html#decimal): the precision of a decimal
 * is significant, `1.10` must not come back as `1.1`. JavaScript numbers forget it, so the spelling of every number that
 * JavaScript would print otherwise is remembered beside the object that holds it, and used when that number is unchanged.
 */

/** holder → key → number as written */
const spellings = new WeakMap<object, Map<string, string>>();
/** Until the first such number is met, no document needs to be looked through before it is printed. */
let anySpelling = false;

/** Parses JSON. `respelledNumbers`: whether the text has such a number at all (`scanJson` knows); found out when left out. */
export function parseJson(text: string, respelledNumbers = RESPELLED.test(text)): unknown {
  if (!respelledNumbers) return JSON.parse(text);
  const keepSpelling = function (
    this: object,
    key: string,
    value: unknown,
    context?: { source?: string },
  ): unknown {
    if (typeof value === 'number' && context?.source !== undefined && String(value) !== context.source) {
      const ofHolder = spellings.get(this) ?? new Map<string, string>();
      ofHolder.set(key, context.source);
      spellings.set(this, ofHolder);
      anySpelling = true;
    }
    return value;
  };
  return JSON.parse(text, keepSpelling as (key: string, value: unknown) => unknown);
}

/**
 * A number that ends in zeros after the point, or has an exponent, or many digits, or is -0. Numbers stand behind a colon, a comma or a bracket: so an
 * id such as `…-91e5-…` is none, and only a text with just that in it is looked at in vain. May say yes too often, never too seldom.
 */
const RESPELLED = /[:,[]\s*-?(?:\d+\.\d*0(?![\d.])|\d+(?:\.\d+)?[eE]|[\d.]{16}|0\.0{6}|(?<=-)0(?![\d.]))/;

/** Prints a resource (or part of one) as JSON text, numbers as they were read. */
export function printJson(value: object): string {
  if (!anySpelling || !hasSpelling(value)) return JSON.stringify(value);
  return JSON.stringify(value, function (this: object, key: string, item: unknown) {
    if (typeof item !== 'number') return item;
    const spelling = spellings.get(this)?.get(key);
    return spelling !== undefined && Number(spelling) === item ? rawJson(spelling) : item;
  });
}

function hasSpelling(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (spellings.has(value)) return true;
  // The names of a list's items would be made one by one.
  if (Array.isArray(value)) return value.some(hasSpelling);
  for (const name in value) if (hasSpelling((value as Record<string, unknown>)[name])) return true;
  return false;
}

/**
 * A shallow copy with changed properties that still knows how the numbers of `from` were written. The properties named in `first` come
 * first, in that order.
 */
export function copyWith<T extends Resource>(from: T, changes: Partial<T>, first: object = {}): T {
  const copy = { ...first, ...from, ...changes };
  const numbers = spellings.get(from);
  if (numbers) spellings.set(copy, numbers);
  return copy;
}

/** A shallow copy of a list or an object that still knows how the numbers of `from` were written. */
export function copyHolder<T extends object>(from: T): T {
  const copy = (Array.isArray(from) ? [...from] : { ...from }) as T;
  const numbers = spellings.get(from);
  if (numbers) spellings.set(copy, numbers);
  return copy;
}

/** A copy with only the properties that `keep` says, which still knows how the numbers of `from` were written. */
export function pickFrom<T extends object>(from: T, keep: (key: string) => boolean): Partial<T> {
  const copy: Partial<T> = {};
  for (const key of Object.keys(from)) if (keep(key)) copy[key as keyof T] = from[key as keyof T];
  const numbers = spellings.get(from);
  if (numbers) spellings.set(copy, numbers);
  return copy;
}

/** A number that moves to another place keeps its spelling: call it after `to[toKey] = from[fromKey]`. */
export function moveSpelling(from: object, fromKey: string, to: object, toKey: string): void {
  const spelling = spellings.get(from)?.get(fromKey);
  if (spelling === undefined) return;
  const ofHolder = spellings.get(to) ?? new Map<string, string>();
  ofHolder.set(toKey, spelling);
  spellings.set(to, ofHolder);
}

/** In Node 24; not yet in TypeScript's library. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
