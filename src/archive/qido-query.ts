import { isUid } from '../dicom/uid.ts';
import { Failure, type FailureIssue } from '../kernel/errors.ts';
import { LEVEL_ATTRIBUTES, type Level, type LevelAttribute } from './instance-record.ts';

export interface QidoFilter {
  readonly attribute: LevelAttribute;
  readonly value: string;
}

export interface QidoQuery {
  readonly level: Level;
  readonly filters: readonly QidoFilter[];
  readonly limit: number;
  readonly offset: number;
  /** Tags asked for beyond those that are always given; `all` for everything but bulk data. */
  readonly include: 'all' | readonly string[];
  /** Parameters that were understood by nobody; told to the client in a `Warning` header. */
  readonly ignored: readonly string[];
}

/** Rows of one answer: with metadata asked for, about 10 MB. */
export const QIDO_LIMIT_MAX = 1_000;
export const QIDO_VALUE_CHARS_MAX = 4_096;
export const QIDO_UIDS_MAX = 500;
export const QIDO_OFFSET_MAX = 1_000_000_000;

/**
 * Reads the parameters of a search (PS3.18 8.3.4, 10.6.1). Names are keywords or tags. Throws `archive.bad-request` naming
 * every parameter that cannot be meant. `path`: the UIDs of the path, which are filters too.
 */
export function parseQidoQuery(
  level: Level,
  path: { readonly studyInstanceUid?: string; readonly seriesInstanceUid?: string },
  parameters: Readonly<Record<string, unknown>>,
): QidoQuery {
  const faults: FailureIssue[] = [];
  const fault = (at: string, text: string) => void faults.push({ at, text });
  const filters: QidoFilter[] = [];
  for (const [tag, value] of [
    ['0020000D', path.studyInstanceUid],
    ['0020000E', path.seriesInstanceUid],
  ] as const) {
    if (value === undefined) continue;
    if (!isUid(value)) fault('path', 'is no UID: digits and dots, at most 64');
    filters.push({ attribute: attributeNamed(tag, level)!, value });
  }
  const ignored: string[] = [];
  const include = new Set<string>();
  let [limit, offset] = [QIDO_LIMIT_MAX, 0];
  for (const [name, raw] of Object.entries(parameters)) {
    const values = (Array.isArray(raw) ? raw : [raw]).map(String);
    const value = values[values.length - 1] ?? '';
    if (values.some((text) => text.length > QIDO_VALUE_CHARS_MAX))
      fault(name, `is longer than ${QIDO_VALUE_CHARS_MAX} characters`);
    else if (name === 'limit')
      limit = Math.min(
        QIDO_LIMIT_MAX,
        wholeNumber(value, () => fault(name, 'is no whole number')),
      );
    else if (name === 'offset') offset = wholeNumber(value, () => fault(name, 'is no whole number'));
    else if (name === 'includefield')
      for (const field of values.join(',').split(',')) include.add(field.trim());
    else if (name === 'fuzzymatching') ignored.push(...(value === 'true' ? [name] : []));
    else {
      const attribute = attributeNamed(name, level);
      if (attribute === undefined) ignored.push(name.slice(0, 64).replace(/[^\w.]/g, '?'));
      else if (values.length > 1) fault(name, 'is given more than once');
      else if (value !== '' && value !== '*')
        filters.push({ attribute, value: checked(attribute, value, fault) });
    }
  }
  if (faults.length > 0) {
    throw new Failure(
      'archive.bad-request',
      `The search has ${faults.length} parameter(s) that cannot be read.`,
      { issues: faults },
    );
  }
  const tags = [...include].map(
    (field) => LEVEL_ATTRIBUTES.find((known) => known.keyword === field)?.tag ?? field.toUpperCase(),
  );
  return {
    level,
    filters,
    limit,
    offset,
    include: include.has('all') ? 'all' : tags.filter((tag) => /^[0-9A-F]{8}$/.test(tag)),
    ignored,
  };
}

/** A search of a level is narrowed by its own attributes and by those above it; a study also by the modalities in it. */
function attributeNamed(name: string, level: Level): LevelAttribute | undefined {
  const tag = name.toUpperCase();
  if (level === 'study' && (tag === MODALITIES_IN_STUDY.tag || name === MODALITIES_IN_STUDY.keyword))
    return MODALITIES_IN_STUDY;
  const depth = LEVELS.indexOf(level);
  return LEVEL_ATTRIBUTES.find(
    (known) =>
      known.matching !== null &&
      LEVELS.indexOf(known.level) <= depth &&
      (known.tag === tag || known.keyword === name),
  );
}

const LEVELS: readonly Level[] = ['study', 'series', 'instance'];

export const MODALITIES_IN_STUDY: LevelAttribute = {
  tag: '00080061',
  keyword: 'ModalitiesInStudy',
  level: 'study',
  column: 'modality',
  matching: 'text',
};

function checked(
  attribute: LevelAttribute,
  value: string,
  fault: (at: string, text: string) => void,
): string {
  if (attribute.matching === 'uid') {
    const uids = value.split(/[,\\]/);
    if (uids.length > QIDO_UIDS_MAX || !uids.every(isUid))
      fault(attribute.keyword, `is no list of at most ${QIDO_UIDS_MAX} UIDs`);
  }
  if (attribute.matching === 'range' && !/^(\d{2,8}(\.\d+)?)?(-(\d{2,8}(\.\d+)?)?)?$/.test(value)) {
    fault(attribute.keyword, 'is neither a value nor a range such as 20260101-20260131');
  }
  if (value.includes('\0')) fault(attribute.keyword, 'has a character U+0000');
  return value;
}

function wholeNumber(value: string, fault: () => void): number {
  const number = Number(value);
  if (!/^\d{1,10}$/.test(value) || number > QIDO_OFFSET_MAX) fault();
  return number;
}
