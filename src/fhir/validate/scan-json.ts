import { Failure } from '../../kernel/errors.ts';

/** Deeper nesting than any FHIR resource has; JSON.stringify dies at some thousand levels. */
export const JSON_DEPTH_MAX = 64;
/** FHIR asks for 18 significant digits at most; longer ones only cost. */
export const NUMBER_CHARACTERS_MAX = 30;
/** `1e131000` is 8 characters of JSON and 131 kB as a decimal. */
export const NUMBER_EXPONENT_MAX = 64;
/** The longest list in practice is the instances of a series, and those are not limited here. */
export const ARRAY_ITEMS_MAX = 10_000;

export interface JsonScan {
  /** Some number is written otherwise than JavaScript would print it (`1.10`, `1e3`). */
  readonly respelledNumbers: boolean;
}

/**
 * One pass over JSON text *before* it is parsed: nesting, double keys, keys that reach prototypes, and numbers that are
 * bombs. Syntax is left to JSON.parse; this pass only has to be safe on any text. Throws `fhir.invalid` without any value.
 */
export function scanJson(text: string): JsonScan {
  const here = { at: 0 };
  try {
    return scan(text, here);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.code, `${error.message} It is at ${placeIn(text, here.at)}.`, { cause: error });
  }
}

/** `line 3, column 14`, both from 1, of the character at an index. */
export function placeIn(text: string, at: number): string {
  const lines = text.slice(0, at).split('\n');
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

function scan(text: string, here: { at: number }): JsonScan {
  const open: (Set<string> | number)[] = [];
  let respelledNumbers = false;
  let keyComes = false;
  for (let at = 0; at < text.length; at++) {
    here.at = at;
    const c = text.charCodeAt(at);
    if (c === QUOTE) {
      const end = stringEnd(text, at);
      const keys = open[open.length - 1];
      if (keyComes && typeof keys === 'object') addKey(keys, text, at, end);
      keyComes = false;
      at = end;
    } else if (c === BRACE || c === BRACKET) {
      if (open.length >= JSON_DEPTH_MAX)
        throw refuse(`The JSON is nested deeper than ${JSON_DEPTH_MAX} levels.`);
      open.push(c === BRACE ? new Set() : 0);
      keyComes = c === BRACE;
    } else if (c === BRACE_END || c === BRACKET_END) {
      open.pop();
      keyComes = false;
    } else if (c === COMMA) {
      keyComes = nextItem(open);
    } else if (c === MINUS || (c >= ZERO && c <= NINE)) {
      const end = numberEnd(text, at);
      respelledNumbers = checkNumber(text.slice(at, end)) || respelledNumbers;
      at = end - 1;
    }
  }
  return { respelledNumbers };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

const refuse = (text: string): Failure => new Failure('fhir.invalid', text);

function stringEnd(text: string, start: number): number {
  let at = start;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** The key between the quotation marks at `start` and `end`. */
function addKey(keys: Set<string>, text: string, start: number, end: number): void {
  const written = text.slice(start + 1, end);
  const key = written.includes('\\') ? unescaped(text.slice(start, end + 1)) : written;
  if (FORBIDDEN_KEYS.has(key))
    throw refuse('The JSON has a key that no FHIR element has and that is not safe; remove it.');
  if (keys.has(key)) throw refuse('An object of the JSON has the same key twice; send each key once.');
  keys.add(key);
}

function unescaped(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw refuse('The body is not JSON.');
  }
}

/** Counts array items; after a comma in an object a key comes. */
function nextItem(open: (Set<string> | number)[]): boolean {
  const top = open[open.length - 1];
  if (typeof top !== 'number') return true;
  if (top + 2 > ARRAY_ITEMS_MAX) throw refuse(`An array of the JSON has more than ${ARRAY_ITEMS_MAX} items.`);
  open[open.length - 1] = top + 1;
  return false;
}

function numberEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && NUMBER_CHARACTERS.includes(text.charAt(at))) at++;
  return at;
}

const NUMBER_CHARACTERS = '0123456789.eE+-';
/** A whole number, or one with a few digits after the point, the last of which is no zero: JavaScript prints it as it is. */
const PLAIN_NUMBER = /^(?:0|-?[1-9]\d{0,8})(?:\.\d{0,4}[1-9])?$/;

/** True when JavaScript would print the number otherwise. */
function checkNumber(spelling: string): boolean {
  if (PLAIN_NUMBER.test(spelling)) return false;
  const exponent = /[eE]([+-]?\d+)$/.exec(spelling)?.[1] ?? '0';
  if (spelling.length > NUMBER_CHARACTERS_MAX || Math.abs(Number(exponent)) > NUMBER_EXPONENT_MAX) {
    throw refuse(
      `A number has more than ${NUMBER_CHARACTERS_MAX} characters or an exponent beyond ${NUMBER_EXPONENT_MAX}.`,
    );
  }
  return String(Number(spelling)) !== spelling;
}
