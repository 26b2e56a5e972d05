import type { Component, Field, Repetition, Row } from '../../hl7/codec.ts';

/** A place in a message: `OBX(2)-5(1).2.1`. Numbers begin at 1; what is left out of the end is the whole. */
export interface FieldPath {
  readonly segment: string;
  /** Null: each segment of that name. */
  readonly index: number | null;
  readonly field: number | null;
  readonly repetition: number | null;
  readonly component: number | null;
  readonly subcomponent: number | null;
}

/** Null when the text is no place. */
export function parseFieldPath(text: string): FieldPath | null {
  const match = PATH.exec(text);
  if (match === null) return null;
  const number = (at: number) => (match[at] === undefined ? null : Number(match[at]));
  return {
    segment: match[1]!,
    index: number(2),
    field: number(3),
    repetition: number(4),
    component: number(5),
    subcomponent: number(6),
  };
}

/** The rows that the path means, in message order. */
export function rowsAt(rows: readonly EditRow[], path: FieldPath): EditRow[] {
  const named = rows.filter((row) => row.segment === path.segment);
  return path.index === null ? named : named.slice(path.index - 1, path.index);
}

/** A row whose every cell can be reached: field → repetitions → components → subcomponents. */
export interface EditRow {
  readonly segment: string;
  readonly fields: Map<number, Cell[][][]>;
}

/** Text, or text with HL7's formatting commands in it. */
export type Cell = string | { readonly formatted: string };

export const toEditRow = ({ segment, fields }: Row): EditRow => ({
  segment,
  fields: new Map(
    Object.entries(fields).flatMap(([n, field]) =>
      field === undefined || field === '' ? [] : [[Number(n), cellsOf(field)] as const],
    ),
  ),
});

export const fromEditRow = ({ segment, fields }: EditRow): Row => ({
  segment,
  fields: Object.fromEntries([...fields].map(([n, cells]) => [n, fieldOf(cells)])),
});

/** The first text at the place: a field's is that of its first component. */
export function textAt(row: EditRow, path: FieldPath): string {
  const cell = row.fields.get(path.field ?? 0)?.[(path.repetition ?? 1) - 1]?.[(path.component ?? 1) - 1]?.[
    (path.subcomponent ?? 1) - 1
  ];
  return textOf(cell ?? '');
}

/** What the place holds, whole: for a field all its repetitions, for a component its subcomponents. */
export function valueAt(row: EditRow, path: FieldPath): Cell[][][] {
  const field = row.fields.get(path.field ?? 0) ?? [];
  if (path.repetition === null && path.component === null) return field;
  const components = field[(path.repetition ?? 1) - 1] ?? [];
  if (path.component === null) return [components];
  const subcomponents = components[path.component - 1] ?? [];
  if (path.subcomponent === null) return [[subcomponents]];
  return [[[subcomponents[path.subcomponent - 1] ?? '']]];
}

/** Puts a value there, in the form `valueAt` gives; what lies between becomes empty cells. An empty value empties the place. */
export function putAt(row: EditRow, path: FieldPath, value: Cell[][][]): void {
  const n = path.field ?? 0;
  if (path.repetition === null && path.component === null) {
    row.fields.set(n, value);
    return;
  }
  const field = [...(row.fields.get(n) ?? [])];
  const r = (path.repetition ?? 1) - 1;
  while (field.length <= r) field.push([]);
  const components = [...(field[r] ?? [])];
  if (path.component === null) {
    field[r] = value[0] ?? [];
  } else {
    while (components.length < path.component) components.push(['']);
    const given = value[0]?.[0] ?? [''];
    if (path.subcomponent === null) {
      components[path.component - 1] = given;
    } else {
      const subcomponents = [...(components[path.component - 1] ?? [])];
      while (subcomponents.length < path.subcomponent) subcomponents.push('');
      subcomponents[path.subcomponent - 1] = given[0] ?? '';
      components[path.component - 1] = subcomponents;
    }
    field[r] = components;
  }
  row.fields.set(n, field);
}

/** Empties a place; a repetition is taken out, so that none that is empty stays between two others. */
export function dropAt(row: EditRow, path: FieldPath): void {
  if (path.repetition === null || path.component !== null) {
    putAt(row, path, []);
    return;
  }
  const left = (row.fields.get(path.field ?? 0) ?? []).filter((_one, at) => at + 1 !== path.repetition);
  row.fields.set(path.field ?? 0, left);
}

export const isEmpty = (value: Cell[][][]): boolean =>
  value.every((one) => one.every((two) => two.every((cell) => textOf(cell) === '')));

export const holdsNothing = ({ fields }: EditRow): boolean => [...fields.values()].every(isEmpty);

/** Is one of the places the other, or a part of it? Of the same segment; a component without a repetition is one of the first. */
export function overlap(one: FieldPath, other: FieldPath): boolean {
  const [a, b] = [one, other].map(({ field, repetition, component, subcomponent }) => [
    field,
    repetition ?? (component === null ? null : 1),
    component,
    subcomponent,
  ]) as [(number | null)[], (number | null)[]];
  return a.every((part, n) => part === null || b[n] === null || part === b[n]);
}

const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.formatted);

const PATH =
  /^([A-Z][A-Z0-9]{2})(?:\((\d{1,3})\))?(?:-(\d{1,3})(?:\((\d{1,3})\))?(?:\.(\d{1,2})(?:\.(\d{1,2}))?)?)?$/;

function cellsOf(field: Field): Cell[][][] {
  const repetitions = typeof field === 'object' && 'repetitions' in field ? field.repetitions : [field];
  return repetitions.map((one) => (typeof one === 'string' ? [[one]] : one.map(componentCells)));
}

function componentCells(component: Component): Cell[] {
  if (typeof component === 'string') return [component];
  return 'formatted' in component ? [component] : [...component.subcomponents];
}

function fieldOf(cells: Cell[][][]): Field {
  const repetitions = cells.map((components): Repetition => components.map(componentOf));
  return repetitions.length === 1 ? (repetitions[0] ?? '') : { repetitions };
}

function componentOf(cells: Cell[]): Component {
  if (cells.length === 1) return cells[0] ?? '';
  return { subcomponents: cells.map(textOf) };
}
