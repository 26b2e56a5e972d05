import type { Row } from '../../hl7/codec.ts';
import { FIELDS_MAX } from '../../hl7/codec.ts';
import type { FailureIssue } from '../../kernel/errors.ts';
import { AddedSegments, additionFaults, DROPPED, type Surroundings } from './added-segments.ts';
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
import { filled, type TemplateValues, unknownValues } from './field-templates.ts';
import { FIELDS_KEPT, SEGMENTS_KEPT } from './kept-places.ts';
import type { FieldOverride, RisProfile } from './profile-settings.ts';

/** A profile's overrides, one after the other, each on what the one before left. `leftOut`: added segments that the record has nothing for. */
export function overrideFields(
  rows: readonly Row[],
  { overrides, tables }: Pick<RisProfile, 'overrides' | 'tables'>,
  values: TemplateValues,
): { rows: Row[]; leftOut: readonly string[] } {
  if (overrides.length === 0) return { rows: [...rows], leftOut: [] };
  let edited = rows.map(toEditRow);
  const added = new AddedSegments(values, rows);
  for (const override of overrides) {
    if ('add' in override) {
      edited = added.add(edited, override);
      continue;
    }
    const path = parseFieldPath(override.at);
    if (path === null) continue;
    const targets = rowsAt(edited, path).filter((row) => isMeant(row, override));
    if (override.drop && path.field === null) edited = edited.filter((row) => !targets.includes(row));
    else if (path.field !== null)
      for (const row of targets) change(row, path, override, edited, tables, values);
  }
  return { rows: added.finished(edited).map(fromEditRow), leftOut: added.leftOut };
}

/** What the schema cannot say: places that must not be touched, segments and tables that are not there, overrides that contradict each other. */
export function overrideFaults(
  profile: Pick<RisProfile, 'overrides' | 'tables' | 'narrative'>,
): FailureIssue[] {
  const here = new Set(SEGMENTS);
  const added = new Set<string>();
  const gone = new Set<string>();
  const thinned = new Set<string>();
  return profile.overrides.flatMap((override, n) => {
    const at = `overrides/${n}`;
    const around = { here, gone, thinned, added, narrative: profile.narrative };
    if ('add' in override) {
      const issues = additionFaults(override, at, around);
      here.add(override.add);
      added.add(override.add);
      for (const lost of [gone, thinned]) lost.delete(override.add);
      return issues;
    }
    const issues = changeFaults(override, at, around, profile.tables);
    const path = override.drop ? parseFieldPath(override.at) : null;
    if (path?.field === null) (isOfAll(override, path) ? gone : thinned).add(path.segment);
    return issues;
  });
}

function changeFaults(
  override: FieldOverride,
  at: string,
  around: Surroundings & { readonly added: ReadonlySet<string> },
  tables: RisProfile['tables'],
): FailureIssue[] {
  const path = parseFieldPath(override.at);
  const whole = path?.field === null;
  const kept = whole ? SEGMENTS_KEPT[path.segment] : FIELDS_KEPT[`${path?.segment}-${path?.field}`];
  const guard = kept ?? placeFault(path, around) ?? (whole ? dropFault(override, path, around) : null);
  const issues: FailureIssue[] = [];
  if (guard) issues.push({ at: `${at}/at`, text: guard });
  if (override.lookup !== undefined && !Object.hasOwn(tables, override.lookup))
    issues.push({ at: `${at}/lookup`, text: 'names no table of this profile' });
  if (override.otherwise !== undefined && override.lookup === undefined)
    issues.push({ at: `${at}/otherwise`, text: 'goes with lookup only' });
  if (override.copy !== undefined) {
    const from = parseFieldPath(override.copy);
    const fault = from?.field === null ? 'needs a field, such as PID-3' : placeFault(from, around);
    if (fault) issues.push({ at: `${at}/copy`, text: fault });
  }
  for (const text of unknownValues(override.set ?? '')) issues.push({ at: `${at}/set`, text });
  if (override.where !== undefined) {
    const looked = parseFieldPath(override.where.field);
    if (looked?.field === null || looked?.segment !== path?.segment)
      issues.push({ at: `${at}/where/field`, text: 'must be a field of the segment that `at` names' });
  }
  return issues;
}

/** Of a place that names a whole segment. */
function dropFault(
  override: FieldOverride,
  { segment }: FieldPath,
  { added, narrative }: Surroundings & { readonly added: ReadonlySet<string> },
): string | null {
  if (!override.drop) return 'needs a field, such as PID-3: only drop takes a whole segment';
  if (override.where !== undefined) return null;
  if (segment === 'NTE' && narrative === 'NTE')
    return 'is the text of the result, which narrative NTE writes there: say by where which notes are meant';
  // Of PV1 and ORC there is one: what is dropped here is what was added.
  return added.has(segment) ? 'names a segment that an override before adds' : null;
}

const isOfAll = ({ where }: FieldOverride, { index }: FieldPath): boolean =>
  where === undefined && index === null;

/** What would change nothing, or stop every message; null for a place that a message can have. */
function placeFault(path: FieldPath | null, { here, gone }: Surroundings): string | null {
  if (path === null) return null;
  if (!here.has(path.segment)) return `names no segment of a result message: ${[...here].join(', ')}`;
  if (gone.has(path.segment)) return DROPPED;
  return (path.field ?? 0) > FIELDS_MAX ? `names a field beyond the ${FIELDS_MAX}th` : null;
}

/** What a result message is made of: an override of another segment would never do anything, unless one before adds it. */
const SEGMENTS = ['MSH', 'PID', 'PV1', 'ORC', 'OBR', 'OBX', 'NTE'];

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
