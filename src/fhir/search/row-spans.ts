import type { Resource } from '@medplum/fhirtypes';
import type { IndexRows } from './index-rows.ts';
import { folded } from './kinds/string.ts';
import { TEXTS } from './kinds/token-content.ts';
import {
  comparable,
  ENTRY,
  everywhere,
  LAST,
  LAST_UPDATED,
  type Point,
  pointAt,
  type Span,
  timeOf,
} from './reach.ts';

/** Where a resource lies, by the keys of `reach.ts`. Each kind of key is worked out when it is first asked for: most never are. */
export class RowSpans {
  private readonly known = new Map<string, readonly Span[]>();
  private rowsKnown = false;

  constructor(
    private readonly resource: Resource,
    private readonly rows: IndexRows,
  ) {}

  get(key: string): readonly Span[] | undefined {
    const known = this.known.get(key);
    if (known) return known;
    const found = this.find(key);
    if (found) this.known.set(key, found);
    return found;
  }

  private find(key: string): readonly Span[] | undefined {
    const [kind = '', ...rest] = key.split(' ');
    switch (kind) {
      case '_id':
        return [pointAt(key, String(this.resource.id))];
      case LAST_UPDATED:
        return [lastUpdated(this.resource)];
      case ENTRY:
        return [...this.rows.tokens].map((entry) => pointAt(key, comparable(entry)));
      case 'p':
        return [pointAt(key, isPresent(this.resource.resourceType, rest, this.rows) ? 1 : 0)];
      case 't':
        return textsAt(key, rest, this.resource);
      case 'lat':
        return this.rows.numbers.flatMap(({ param, lo }) =>
          param === rest[0] ? pointAt(key, Number(lo)) : [],
        );
      default:
        if (!this.rowsKnown) for (const [of, spans] of rowSpans(this.rows)) this.known.set(of, spans);
        this.rowsKnown = true;
        return this.known.get(key);
    }
  }
}

function rowSpans(rows: IndexRows): Map<string, Span[]> {
  const spans = new Map<string, Span[]>();
  const add = (key: string, from: Point, to: Point) => {
    const those = spans.get(key);
    if (those) those.push({ key, from, to });
    else spans.set(key, [{ key, from, to }]);
  };
  for (const { param, lo, hi } of rows.numbers) add(`n ${param}`, Number(lo), Number(hi));
  for (const { param, lo, hi } of rows.dates) add(`d ${param}`, timeOf(lo), timeOf(hi));
  for (const { param, value } of rows.strings) add(`s ${param}`, comparable(value), comparable(value));
  for (const { param, lo, hi, unit, canonical, canonicalLo, canonicalHi } of rows.quantities) {
    add(`q ${param}`, Number(lo), Number(hi));
    add(`q ${param} in ${canonical}`, Number(canonicalLo), Number(canonicalHi));
    if (unit !== '') add(`q ${param} as ${unit}`, Number(lo), Number(hi));
  }
  return spans;
}

/** Kept to the millisecond: an interval of one. */
function lastUpdated({ meta }: Resource): Span {
  const from = Date.parse(meta?.lastUpdated ?? '');
  return Number.isNaN(from) ? everywhere(LAST_UPDATED) : { key: LAST_UPDATED, from, to: from + 1 };
}

/** By the rules of `kinds/present.ts`. */
function isPresent(type: string, [kind = '', named = '']: readonly string[], rows: IndexRows): boolean {
  const [code = '', target] = named.split('>');
  const name = `${type}.${code}`;
  const table = Object.hasOwn(TABLES, kind) ? TABLES[kind] : undefined;
  if (table) return rows.tokens.has(`${name}!`) || rows[table].some(({ param }) => param === code);
  const start = target === undefined ? name : `${name}>${target}/`;
  for (const entry of rows.tokens)
    if (entry.startsWith(start) && (target !== undefined || MARKS.includes(entry.charAt(name.length) || ' ')))
      return true;
  return false;
}

const TABLES: Readonly<Record<string, 'numbers' | 'dates' | 'strings' | 'quantities'>> = {
  date: 'dates',
  number: 'numbers',
  quantity: 'quantities',
  special: 'numbers',
  string: 'strings',
};

const MARKS = '#@>:!';

/** What `:text` looks at: the texts at the parameter's SQL/JSON paths, gone through as PostgreSQL does (lax). */
function textsAt(key: string, paths: readonly string[], resource: Resource): readonly Span[] {
  const spans: Span[] = [];
  for (const path of paths)
    for (const text of TEXTS)
      for (const value of valuesAt(resource, namesIn(`${path}${text}`)))
        spans.push(typeof value === 'string' ? textSpan(key, value) : { key, from: '', to: LAST });
  return spans;
}

const namesIn = (path: string): string[] => [...path.matchAll(/"([^"]*)"/g)].map(([, name = '']) => name);

function valuesAt(value: unknown, names: readonly string[]): unknown[] {
  if (Array.isArray(value)) return value.flatMap((one) => valuesAt(one, names));
  const [name, ...rest] = names;
  if (name === undefined) return value === undefined || value === null ? [] : [value];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return [];
  return valuesAt((value as Record<string, unknown>)[name], rest);
}

/** PostgreSQL may fold letters of other scripts otherwise: a text that has such lies everywhere. */
function textSpan(key: string, text: string): Span {
  const plain = text.normalize('NFKD').replace(/[\u0300-\u036f]/g, '');
  return FOLDED_ALIKE.test(plain) ? pointAt(key, folded(text)) : { key, from: '', to: LAST };
}

/** ASCII, and the letters that both take apart by their own list. */
const FOLDED_ALIKE = /^[\t\n\r -~ßøłđðþæœı]*$/;
