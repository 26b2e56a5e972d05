import { CsvError, parse } from 'csv-parse';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { PropertyType } from '../systems/code-system-view.ts';
import type { SourceFile } from './source-files.ts';
import type { ReadTerminology } from './staging.ts';

/** LOINC's table, `LoincTable/Loinc.csv`. Its columns become the properties that R4 loinc.html names, each with its own name. */
export function readLoinc(file: SourceFile): ReadTerminology {
  return async (into) => {
    let latest = '';
    for await (const row of csvRows(file)) {
      demandColumns(row);
      const { LOINC_NUM: code = '', LONG_COMMON_NAME: display, STATUS: status = '' } = row;
      if (code === '') continue;
      const inactive = status === 'DEPRECATED';
      await into.concept({
        code,
        display: display || row['COMPONENT'] || code,
        definition: row['DefinitionDescription'] || null,
        inactive,
      });
      for (const name of PROPERTIES) {
        const value = row[name];
        if (value) await into.property(code, name, value);
      }
      for (const [column, use] of NAMES) {
        const value = row[column];
        if (value && value !== display)
          await into.designation(code, { language: 'en', use: { ...USE, code: use }, value });
      }
      latest = laterVersion(latest, row['VersionLastChanged'] ?? '');
    }
    return {
      url: CODE_SYSTEMS.loinc,
      version: latest,
      name: 'LOINC',
      title: 'LOINC',
      copyright:
        'LOINC is copyright Regenstrief Institute, Inc. and the LOINC Committee; see https://loinc.org/license.',
      caseSensitive: false,
      properties: Object.fromEntries(PROPERTIES.map((name) => [name, 'string' as PropertyType])),
    };
  };
}

/** Other tables of the release have LOINC_NUM too, for a part of the codes: taken for the whole they would replace it. */
function demandColumns(row: Readonly<Record<string, string>>): void {
  const missing = NEEDED.filter((column) => !(column in row));
  if (missing.length > 0)
    throw new Failure(
      'terminology.import',
      `The table has no column ${missing.join(', ')}. Give LoincTable/Loinc.csv of the release.`,
    );
}

const NEEDED = ['LOINC_NUM', 'COMPONENT', 'LONG_COMMON_NAME', 'STATUS', 'VersionLastChanged'];

/** A row of a CSV file with names in its first line (RFC 4180); all values are text. */
export async function* csvRows(file: SourceFile): AsyncGenerator<Record<string, string>> {
  const parser = parse({
    columns: true,
    bom: true,
    relax_column_count: true,
    max_record_size: CSV_RECORD_BYTES_MAX,
  });
  const bytes = await file.bytes();
  bytes.on('error', (error) => parser.destroy(error));
  try {
    yield* bytes.pipe(parser) as AsyncIterable<Record<string, string>>;
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    // The library's own words repeat what stands in the file.
    const line = Number(cause['lines']);
    throw new Failure(
      'terminology.import',
      `The table cannot be read${line > 0 ? ` near line ${line}` : ''}: a quote is open or misplaced. Check that the file is complete.`,
      { cause },
    );
  }
}

/** The longest rows have texts of some thousand characters; more is a quote that never ends. */
export const CSV_RECORD_BYTES_MAX = 1_048_576;

const PROPERTIES = [
  'COMPONENT',
  'PROPERTY',
  'TIME_ASPCT',
  'SYSTEM',
  'SCALE_TYP',
  'METHOD_TYP',
  'CLASS',
  'CLASSTYPE',
  'STATUS',
  'ORDER_OBS',
  'UNITSREQUIRED',
  'EXAMPLE_UCUM_UNITS',
] as const;

const USE = { system: CODE_SYSTEMS.loinc };
const NAMES = [
  ['SHORTNAME', 'SHORTNAME'],
  ['DisplayName', 'DisplayName'],
  ['CONSUMER_NAME', 'ConsumerName'],
] as const;

/** The table has no version of its own: the latest in which a row of it was changed is that of the release. */
function laterVersion(a: string, b: string): string {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number)) as [number[], number[]];
  if (a === '' || y.some(Number.isNaN)) return a === '' && !y.some(Number.isNaN) ? b : a;
  const at = y.findIndex((part, i) => part !== (x[i] ?? 0));
  return at >= 0 && (y[at] ?? 0) > (x[at] ?? 0) ? b : a;
}
