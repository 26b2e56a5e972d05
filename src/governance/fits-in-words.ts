import type { Fits, Manifest } from './manifest.ts';

/** What a study must be, in plain words: for the register's list, the Device and whoever decides on a model. */
export function fitsInWords(manifest: Pick<Manifest, 'fits' | 'warn_only'>): readonly string[] {
  const { fits, warn_only = [] } = manifest;
  const lines = Object.entries(fits).flatMap(([field, value]) => {
    if (value === undefined || field.endsWith('_missing')) return [];
    const words = WORDS[field]?.(value as never) ?? `${field.replaceAll('_', ' ')}: ${plain(value)}`;
    const missing = (fits as unknown as Record<string, unknown>)[`${field.replace(/_years$/, '')}_missing`];
    return [missing ? `${words} (not stated: ${missing})` : words];
  });
  return warn_only.length > 0 ? [...lines, `only a warning: ${warn_only.join(', ')}`] : lines;
}

type Range = { readonly min?: number; readonly max?: number };
type Words = { readonly [field in keyof Fits]?: (value: NonNullable<Fits[field]>) => string };

const WORDS: Readonly<Record<string, ((value: never) => string) | undefined>> = {
  modality: (value) => `modality ${value.join(' or ')}`,
  sop_class: (value) => `SOP class ${value.join(' or ')}`,
  body_part: (value) => `body part ${value.join(' or ')}`,
  view: (value) => `view ${value.join(' or ')}`,
  age_years: (value) => `age ${range(value, 'years')}`,
  species: (value) => `${value} only`,
  rows: (value) => `rows ${range(value)}`,
  columns: (value) => `columns ${range(value)}`,
  slices: (value) => `${range(value)} slices`,
  bits_stored: (value) => `${range(value)} bits stored`,
  coverage_mm: (value) => `covers ${range(value, 'mm')}`,
  slice_thickness_mm: (value) => `slice thickness ${range(value, 'mm')}`,
  pixel_spacing_mm: (value) => `pixel spacing ${range(value, 'mm')}`,
  gap_tolerance: (value) => `no gaps: slice distances within ${Math.round(value * 100)} % of each other`,
  orientation: (value) => `${value} slices`,
  burned_in_annotation: (value) => (value ? 'burned-in text is accepted' : 'no burned-in text'),
  derived: (value) => (value ? 'derived images are accepted' : 'no derived images'),
  lossy_ratio_max: (value) => `compressed with loss at most ${value}:1`,
  kernel_not: (value) => `not reconstructed with a kernel of ${value.join(', ')}`,
  kernel_prefer: (value) => `kernels preferred: ${value.join(', ')}`,
  pixel_signed: (value) => (value ? 'signed pixels' : 'unsigned pixels'),
} satisfies Words as never;

function range({ min, max }: Range, unit = ''): string {
  const of = unit === '' ? '' : ` ${unit}`;
  if (min !== undefined && max !== undefined) return `${min} to ${max}${of}`;
  return min !== undefined ? `at least ${min}${of}` : `at most ${max}${of}`;
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.join(' or ');
  if (typeof value !== 'object' || value === null) return String(value);
  const { min, max, ...rest } = value as Range & Record<string, unknown>;
  const own = Object.entries(rest).map(([name, one]) => `${name.replaceAll('_', ' ')} ${plain(one)}`);
  return [
    ...(min !== undefined || max !== undefined
      ? [range({ ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) })]
      : []),
    ...own,
  ].join(', ');
}
