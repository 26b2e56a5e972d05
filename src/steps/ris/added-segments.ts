import { FIELDS_MAX, type Row } from '../../hl7/codec.ts';
import type { FailureIssue } from '../../kernel/errors.ts';
import {
  type EditRow,
  type FieldPath,
  holdsNothing,
  isEmpty,
  overlap,
  parseFieldPath,
  putAt,
  toEditRow,
  valueAt,
} from './field-path.ts';
import { filled, placeholdersOf, type TemplateValues, unknownValues } from './field-templates.ts';
import { FIELDS_KEPT } from './kept-places.ts';
import type { RisProfile, SegmentAddition } from './profile-settings.ts';

/**
 * Segments that a site needs and that no result message has of itself: a ZDS, a ZPI, a note. They stand beside the result and are none: nothing of them is compared with the
 * message before, and no line is known by them.
 */
export class AddedSegments {
  /** Each with the row it was put after: a second one goes behind the first. */
  private readonly anchors = new Map<EditRow, EditRow>();
  private readonly empty: string[] = [];

  constructor(
    private readonly values: TemplateValues,
    /** The message before any override. */
    private readonly original: readonly Row[],
  ) {}

  /** With the segment in its place; without it where the record has nothing for it, or the message has its own. */
  add(rows: readonly EditRow[], { add: segment, after, fields = {} }: SegmentAddition): EditRow[] {
    if (SINGLE.includes(segment) && rows.some((row) => row.segment === segment)) return [...rows];
    const names = Object.values(fields).flatMap(placeholdersOf);
    if (names.length > 0 && names.every((name) => (this.values[name] ?? '') === '')) {
      this.empty.push(segment);
      return [...rows];
    }
    const row: EditRow = { segment, fields: new Map() };
    for (const [place, template] of Object.entries(fields)) {
      const path = pathOf(segment, place);
      const text = filled(template, (name) => this.values[name] ?? '').trim();
      if (path !== null && text !== '') putAt(row, path, [[[text]]]);
    }
    this.keepOwn(row);
    const anchor = anchorIn(rows, after);
    let at = rows.indexOf(anchor) + 1;
    while (at < rows.length && this.anchors.get(rows[at]!) === anchor) at += 1;
    this.anchors.set(row, anchor);
    return rows.toSpliced(at, 0, row);
  }

  /** Without those in which nothing stands after all overrides. */
  finished(rows: readonly EditRow[]): EditRow[] {
    const isBare = (row: EditRow) => this.anchors.has(row) && holdsNothing(row);
    this.empty.push(...rows.filter(isBare).map(({ segment }) => segment));
    return rows.filter((row) => !isBare(row));
  }

  /** In words without patient data. */
  get leftOut(): string[] {
    return this.empty.map((segment) => `segment ${segment}: the record has nothing for it`);
  }

  /** What a result is worth stands in an ORC of the site too. */
  private keepOwn(row: EditRow): void {
    const own = this.original.find(({ segment }) => segment === row.segment);
    if (row.segment !== 'ORC' || own === undefined) return;
    for (const n of ORDER_FIELDS_KEPT) {
      const path = pathOf('ORC', n);
      if (path !== null && isEmpty(valueAt(row, path))) putAt(row, path, valueAt(toEditRow(own), path));
    }
  }
}

/** What the schema cannot say of an added segment. `here`: the segments that a message can have at this point; `gone`: those that every message has lost; `thinned`: those that some have. */
export function additionFaults(
  { add: segment, after, fields = {} }: SegmentAddition,
  at: string,
  { here, gone, thinned, narrative }: Surroundings,
): FailureIssue[] {
  const issues: FailureIssue[] = [];
  const why = NOT_ADDED[segment];
  if (why) issues.push({ at: `${at}/add`, text: why });
  else if (SINGLE.includes(segment) && here.has(segment) && !gone.has(segment) && !thinned.has(segment))
    issues.push({
      at: `${at}/add`,
      text: `names a segment that every message has: override its fields, or drop it first`,
    });
  if (gone.has(after)) issues.push({ at: `${at}/after`, text: DROPPED });
  else if (!here.has(after))
    issues.push({ at: `${at}/after`, text: `names no segment of the message: ${[...here].join(', ')}` });
  if (segment === 'NTE' && after === 'OBR' && narrative === 'NTE')
    issues.push({
      at: `${at}/after`,
      text: 'is where narrative NTE writes the text of the result: put the note after OBX or NTE',
    });
  return [...issues, ...fieldFaults(segment, fields, at)];
}

export interface Surroundings {
  readonly here: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
  readonly thinned: ReadonlySet<string>;
  readonly narrative: RisProfile['narrative'];
}

export const DROPPED = 'names a segment that an override before drops from every message';

function fieldFaults(segment: string, fields: Readonly<Record<string, string>>, at: string): FailureIssue[] {
  const paths = Object.keys(fields).map((place) => pathOf(segment, place));
  return Object.entries(fields).flatMap(([place, template], n): FailureIssue[] => {
    const path = paths[n];
    if (!path) return [];
    const here = `${at}/fields/${place}`;
    const kept = FIELDS_KEPT[`${segment}-${path.field ?? ''}`];
    const twice = paths.slice(0, n).some((other) => other && overlap(other, path));
    return [
      ...(kept ? [{ at: here, text: kept }] : []),
      ...((path.field ?? 0) > FIELDS_MAX
        ? [{ at: here, text: `names a field beyond the ${FIELDS_MAX}th` }]
        : []),
      ...(twice
        ? [{ at: here, text: 'is part of a place that is given too: one of them would be lost' }]
        : []),
      ...unknownValues(template).map((text) => ({ at: here, text })),
    ];
  });
}

const pathOf = (segment: string, place: string): FieldPath | null => parseFieldPath(`${segment}-${place}`);

/** Where none stands in this message, the nearest before it: OBR always stands. */
function anchorIn(rows: readonly EditRow[], after: string): EditRow {
  for (const name of [after, ...(NEAREST[after] ?? []), 'OBR']) {
    const found = rows.findLast((row) => row.segment === name);
    if (found) return found;
  }
  return rows.at(-1)!;
}

/** Text as notes stands before the lines of results, the note on the software behind them. */
const NEAREST: Readonly<Record<string, readonly string[]>> = {
  PV1: ['PID'],
  ORC: ['PV1', 'PID'],
  OBX: ['NTE'],
  NTE: ['OBX'],
};

/** One of each in a message about one order: they are added only where there is none. */
const SINGLE: readonly string[] = ['PV1', 'ORC'];

/** ORC-1 and ORC-5, as the server writes them. */
const ORDER_FIELDS_KEPT = ['1', '5'] as const;

const FROM_RECORD = 'is written from the record: a second one would be of another patient, order or result';
const OF_BATCH = 'belongs to a batch, and would part the message';
const OF_ANSWER = 'belongs to an answer';
const OF_PARTS = 'says that the message goes on elsewhere';

const NOT_ADDED: Readonly<Record<string, string>> = {
  MSH: FROM_RECORD,
  PID: FROM_RECORD,
  OBR: FROM_RECORD,
  OBX: FROM_RECORD,
  FHS: OF_BATCH,
  FTS: OF_BATCH,
  BHS: OF_BATCH,
  BTS: OF_BATCH,
  MSA: OF_ANSWER,
  ERR: OF_ANSWER,
  ADD: OF_PARTS,
  DSC: OF_PARTS,
};
