import type { DicomJson } from './study-source.ts';

/**
 * Typed access to the DICOM JSON model. The JSON may come from any PACS, so nothing is believed: what is absent, empty
 * or of another type than asked for reads as null (or as an empty list). Tags are written `00100020`.
 */

/** First value as text, trimmed; numbers as decimal text. */
export function jsonString(json: DicomJson, tag: string): string | null {
  return jsonStrings(json, tag)[0] ?? null;
}

/** Every value that is text or a number, as text; empty ones are left out. */
export function jsonStrings(json: DicomJson, tag: string): string[] {
  const texts: string[] = [];
  for (const value of jsonValues(json, tag)) {
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
    if (text !== '') texts.push(text);
  }
  return texts;
}

/** First value as a finite number; IS and DS may be text (PS3.18 F.2.3). */
export function jsonNumber(json: DicomJson, tag: string): number | null {
  return toNumber(jsonValues(json, tag)[0]);
}

/** All values as finite numbers; null when one of them is none, for positions and matrices must be whole. */
export function jsonNumbers(json: DicomJson, tag: string): number[] | null {
  const numbers: number[] = [];
  for (const value of jsonValues(json, tag)) {
    const number = toNumber(value);
    if (number === null) return null;
    numbers.push(number);
  }
  return numbers.length === 0 ? null : numbers;
}

export interface PersonName {
  readonly family: string;
  readonly given: readonly string[];
  readonly prefix: string;
  readonly suffix: string;
  /** The whole name as written, components separated by `^`. */
  readonly text: string;
}

/** First person name: its alphabetic group, else the ideographic one (PS3.5 6.2.1). */
export function jsonPersonName(json: DicomJson, tag: string): PersonName | null {
  const value = jsonValues(json, tag)[0];
  const groups: Record<string, unknown> = typeof value === 'string' ? { Alphabetic: value } : asRecord(value);
  const text = [groups['Alphabetic'], groups['Ideographic']].find(
    (group) => typeof group === 'string' && group !== '',
  );
  if (typeof text !== 'string') return null;
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = text
    .split('^')
    .map((part) => part.trim());
  return { family, given: [given, middle].filter((part) => part !== ''), prefix, suffix, text };
}

/** Items of a sequence. */
export function jsonItems(json: DicomJson, tag: string): DicomJson[] {
  return jsonValues(json, tag).filter((item): item is DicomJson => typeof item === 'object' && item !== null);
}

/** The values as they stand; none when the attribute is absent or no list. */
export function jsonValues(json: DicomJson, tag: string): readonly unknown[] {
  const values: unknown = json[tag]?.Value;
  return Array.isArray(values) ? values : [];
}

function toNumber(value: unknown): number | null {
  if (typeof value === 'string' && value.trim() === '') return null;
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
