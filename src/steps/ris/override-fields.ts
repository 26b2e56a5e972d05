import type { Row } from '../../hl7/codec.ts';
import { FIELDS_MAX } from '../../hl7/codec.ts';
import type { FailureIssue } from '../../kernel/errors.ts';
import {
  dropAt,
  type EditRow,
  type FieldPath,
  fromEditRow,
  isEmpty,
  parseFieldPath,
  putAt,
  rowsAt,
  textAt,
  toEditRow,
  valueAt,
} from './field-path.ts';
import type { FieldOverride, RisProfile } from './profile-settings.ts';

/** What `set` can fill in: `{accession}` and the like. */
export type TemplateValues = Readonly<Record<string, string>>;

/** A profile's overrides, one after the other, each on what the one before left. */
export function overrideFields(
  rows: readonly Row[],
  { overrides, tables }: Pick<RisProfile, 'overrides' | 'tables'>,
  values: TemplateValues,
): Row[] {
  if (overrides.length === 0) return [...rows];
  let edited = rows.map(toEditRow);
  for (const override of overrides) {
    const path = parseFieldPath(override.at);
    if (path === null) continue;
    const targets = rowsAt(edited, path).filter((row) => isMeant(row, override));
    if (override.drop && path.field === null) edited = edited.filter((row) => !targets.includes(row));
    else if (path.field !== null)
      for (const row of targets) change(row, path, override, edited, tables, values);
  }
  return edited.map(fromEditRow);
}

/** What the schema cannot say: places that must not be touched, tables that are not there. */
export function overrideFaults({
  overrides,
  tables,
}: Pick<RisProfile, 'overrides' | 'tables'>): FailureIssue[] {
  return overrides.flatMap((override, n) => {
    const at = `overrides/${n}`;
    const path = parseFieldPath(override.at);
    const whole = path?.field === null;
    const place = `${path?.segment}-${path?.field ?? ''}`;
    const guard = GUARDED[whole ? `${path?.segment}` : place] ?? placeFault(path);
    const issues: FailureIssue[] = [];
    if (guard) issues.push({ at: `${at}/at`, text: guard });
    if (whole && !override.drop)
      issues.push({ at: `${at}/at`, text: 'needs a field, such as PID-3: only drop takes a whole segment' });
    if (override.lookup !== undefined && !Object.hasOwn(tables, override.lookup))
      issues.push({ at: `${at}/lookup`, text: 'names no table of this profile' });
    if (override.otherwise !== undefined && override.lookup === undefined)
      issues.push({ at: `${at}/otherwise`, text: 'goes with lookup only' });
    if (override.copy !== undefined) {
      const from = parseFieldPath(override.copy);
      if (from?.field === null) issues.push({ at: `${at}/copy`, text: 'needs a field, such as PID-3' });
      else if (placeFault(from)) issues.push({ at: `${at}/copy`, text: placeFault(from) });
    }
    for (const name of placeholdersOf(override.set ?? ''))
      if (!TEMPLATE_VALUES.includes(name)) issues.push({ at: `${at}/set`, text: UNKNOWN_VALUE });
    if (override.where !== undefined) {
      const looked = parseFieldPath(override.where.field);
      if (looked?.field === null || looked?.segment !== path?.segment)
        issues.push({ at: `${at}/where/field`, text: 'must be a field of the segment that `at` names' });
    }
    return issues;
  });
}

/** Names in braces. */
export const placeholdersOf = (template: string): string[] =>
  [...template.matchAll(PLACEHOLDER)].map(([, name = '']) => name);

/** With what stands for each of them. */
export const filled = (template: string, toValue: (name: string) => string): string =>
  template.replace(PLACEHOLDER, (_all, name: string) => toValue(name));

const PLACEHOLDER = /\{(\w+)\}/g;

const TEMPLATE_VALUES = ['accession', 'mrn', 'placer', 'filler', 'reportId', 'studyUid', 'visit'];
const UNKNOWN_VALUE = `fills in ${TEMPLATE_VALUES.map((name) => `{${name}}`).join(', ')} and no other name`;

/** What would change nothing, or stop every message; '' for a place that a message can have. */
function placeFault(path: FieldPath | null): string {
  if (path === null) return '';
  if (!SEGMENTS.includes(path.segment)) return `names no segment of a result message: ${SEGMENTS.join(', ')}`;
  return (path.field ?? 0) > FIELDS_MAX ? `names a field beyond the ${FIELDS_MAX}th` : '';
}

/** What a result message is made of: an override of another segment would never do anything. */
const SEGMENTS = ['MSH', 'PID', 'PV1', 'ORC', 'OBR', 'OBX', 'NTE'];

const OWN_SETTING = 'has settings of its own: what a result is worth is not overridden';
const KEPT = 'is written by the server: answers are matched and versions told apart by it';

/** A profile may not make a preliminary result look final, nor break the match of message and answer. */
const GUARDED: Readonly<Record<string, string>> = {
  MSH: KEPT,
  OBR: KEPT,
  'MSH-1': KEPT,
  'MSH-2': KEPT,
  'MSH-7': KEPT,
  'MSH-9': KEPT,
  'MSH-10': KEPT,
  'MSH-15': 'has a setting of its own: ackMode',
  'MSH-16': 'has a setting of its own: ackMode',
  'MSH-18': 'has a setting of its own: charset',
  'OBR-22': KEPT,
  'OBR-25': OWN_SETTING,
  'OBX-1': 'is counted by the server',
  'OBX-11': OWN_SETTING,
  'ORC-5': OWN_SETTING,
};

function isMeant(row: EditRow, { where }: FieldOverride): boolean {
  if (where === undefined) return true;
  const path = parseFieldPath(where.field);
  return path !== null && path.segment === row.segment && textAt(row, path) === where.equals;
}

function change(
  row: EditRow,
  path: FieldPath,
  override: FieldOverride,
  all: readonly EditRow[],
  tables: RisProfile['tables'],
  values: TemplateValues,
): void {
  const put = (text: string) => putAt(row, path, [[[text]]]);
  if (override.drop) {
    dropAt(row, path);
  } else if (override.constant !== undefined) {
    put(override.constant);
  } else if (override.set !== undefined) {
    // Of what is not known nothing stays: a blank between two of them is no value.
    const text = filled(override.set, (name) => values[name] ?? '').trim();
    if (text !== '' && isEmpty(valueAt(row, path))) put(text);
  } else if (override.copy !== undefined) {
    const from = parseFieldPath(override.copy);
    if (from === null) return;
    const source = from.segment === row.segment && from.index === null ? row : rowsAt(all, from)[0];
    putAt(row, path, source ? structuredClone(valueAt(source, from)) : []);
  } else if (override.lookup !== undefined) {
    const text = textAt(row, path);
    const table = tables[override.lookup] ?? {};
    const found = Object.hasOwn(table, text) ? table[text] : override.otherwise;
    if (found !== undefined && text !== '') put(found);
  }
}
