import HL7 from 'hl7-standard';
import { Failure } from '../../kernel/errors.ts';
import { SEGMENTS_STANDARD_MAX } from './canonical.ts';

/**
 * The only file that knows hl7-standard 1.0.4. Measured defects it contains: `build()` escapes nothing and turns `A&B` into
 * `A~B`; `set`, `createSegmentBefore`, `deleteSegments` lose data; a missing index throws TypeError; segments come
 * grouped by name. So: it is given canonical text only; values are read by the four shapes it makes; and it builds
 * from finished field strings, which it prints untouched.
 */

/** One field: repetitions → components → subcomponents, still escaped. Empty when the field is empty. */
export type RawField = readonly (readonly (readonly string[])[])[];

export interface RawSegment {
  readonly name: string;
  field(n: number): RawField;
  /** Number of the last field present. */
  readonly lastField: number;
}

/** Parses canonical text; segments in message order. Of a message with very many each is taken apart when it is read, to the same end. */
export function parseCanonical(text: string): RawSegment[] {
  const lines = text.split('\r', SEGMENTS_STANDARD_MAX + 1);
  if (lines.length > SEGMENTS_STANDARD_MAX && lines.at(-1) !== '') return readLater(text.split('\r'));
  const hl7 = new HL7(text, { lineEndings: '\r' });
  try {
    hl7.transform();
  } catch (cause) {
    throw new Failure('hl7.unreadable', 'The message could not be taken apart into segments and fields.', {
      cause,
    });
  }
  return Object.values(hl7.transformed)
    .flat()
    .sort((a, b) => a.index - b.index)
    .map(({ type, data }) => toRawSegment(type, data));
}

/** Segments of canonical lines, each taken apart when it is read. */
export function readLater(lines: readonly string[]): RawSegment[] {
  return lines.flatMap((line) => (line.includes('|') ? [new LaterSegment(line)] : []));
}

interface ReadLine {
  readonly line: string;
  readonly cells: readonly string[];
  /** As far as they were asked for. */
  readonly fields: RawField[];
}

/** A segment as text. What was read of it is kept until another one is read: there are very many. */
class LaterSegment implements RawSegment {
  private static last: ReadLine | null = null;

  constructor(private readonly line: string) {}

  get name(): string {
    return this.line.slice(0, 3);
  }

  get lastField(): number {
    return this.read.cells.length - 1 + this.offset;
  }

  field(n: number): RawField {
    if (this.offset === 1 && n === 2) return [[['^~\\&']]];
    const at = n - this.offset;
    const { cells, fields } = this.read;
    const text = at < 1 ? undefined : cells[at];
    if (text === undefined || text === '') return [];
    fields[at] ??= text
      .split('~')
      .map((repetition) => repetition.split('^').map((component) => component.split('&')));
    return fields[at];
  }

  private get read(): ReadLine {
    const { last } = LaterSegment;
    if (last?.line === this.line) return last;
    LaterSegment.last = { line: this.line, cells: this.line.split('|'), fields: [] };
    return LaterSegment.last;
  }

  /** MSH-1 is the first delimiter itself. */
  private get offset(): number {
    return this.line.startsWith('MSH') ? 1 : 0;
  }
}

function toRawSegment(name: string, data: Record<string, unknown>): RawSegment {
  const fields = new Map<number, RawField>();
  return {
    name,
    lastField: Object.keys(data).reduce((last, key) => Math.max(last, Number(key.slice(4))), 0),
    field(n) {
      const known = fields.get(n);
      if (known !== undefined) return known;
      const field = toRawField(data[`${name}.${n}`], `${name}.${n}`);
      fields.set(n, field);
      return field;
    },
  };
}

/** Prints segments of finished field strings (index 0 is field 1; MSH starts at MSH-2), joined by CR, no CR at the end. */
export function printSegments(segments: readonly { name: string; fields: readonly string[] }[]): string {
  const hl7 = new HL7('', { lineEndings: '\r' });
  for (const { name, fields } of segments) {
    const segment = hl7.createSegment(name);
    const first = name === 'MSH' ? 2 : 1;
    for (const [at, text] of fields.entries()) segment.data[`${name}.${at + first}`] = text;
  }
  return hl7.build();
}

function toRawField(value: unknown, path: string): RawField {
  if (value === undefined || value === '') return [];
  if (typeof value === 'string') return [[[value]]];
  if (!Array.isArray(value)) return [toComponents(value as Record<string, unknown>, path)];
  // A list of strings is one component with subcomponents; a list of objects is the repetitions.
  if (typeof value[0] === 'string') return [[value as string[]]];
  return value.map((one) => toComponents(one as Record<string, unknown>, path));
}

function toComponents(components: Record<string, unknown>, path: string): string[][] {
  return Object.keys(components).map((_, at) => {
    const value = components[`${path}.${at + 1}`];
    return Array.isArray(value) ? (value as string[]) : [String(value ?? '')];
  });
}
