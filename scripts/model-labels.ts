import type { Manifest } from '../src/governance/manifest.ts';
import { Failure } from '../src/kernel/errors.ts';

/** A line of the list, by column. */
export type LabelRow = Readonly<Record<string, string | undefined>>;

/** A finding of the model and the column that says whether it is there. */
export interface LabelColumn {
  readonly rule: {
    readonly key: string;
    readonly label: string;
    readonly threshold: { readonly positive: number; readonly indeterminate?: number };
  };
  readonly column: string;
}

/**
 * Which column tells of which finding: by name (the finding's key or label, or the model's own label, whatever their case and dashes), or as
 * told by `<finding>=<column>`. Throws `fhir.invalid` when none fits, or a named one is not there.
 */
export function labelColumns(
  { findings }: Pick<Manifest, 'findings'>,
  columns: readonly string[],
  told: readonly string[],
): readonly LabelColumn[] {
  const named = new Map(told.map((text) => text.split('=') as [string, string | undefined]));
  for (const [key, column] of named) {
    if (!findings.some((rule) => rule.key === key) || column === undefined || !columns.includes(column))
      throw new Failure(
        'fhir.invalid',
        `--label ${key}=${column ?? ''}: there is no such finding or column.`,
      );
  }
  const found = findings.flatMap((rule): LabelColumn[] => {
    const threshold = 'threshold' in rule ? rule.threshold : { positive: rule.abnormal_from ?? Number.NaN };
    if (Number.isNaN(threshold.positive) || ('untrained' in rule && rule.untrained)) return [];
    const names = [rule.key, rule.label, ...('from' in rule ? [rule.from.label] : [])].map(plain);
    const column = named.get(rule.key) ?? columns.find((one) => names.includes(plain(one)));
    return column === undefined ? [] : [{ rule: { key: rule.key, label: rule.label, threshold }, column }];
  });
  if (found.length > 0) return found;
  const keys = findings.map(({ key }) => key).join(', ');
  throw new Failure(
    'fhir.invalid',
    `No column of the list is named like a finding (${keys}); name them with --label <finding>=<column>.`,
  );
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** null: empty, or neither yes nor no. */
export function truthOf(row: LabelRow, column: string): boolean | null {
  const text = (row[column] ?? '').trim().toLowerCase();
  if (['1', '1.0', 'yes', 'true', 'positive'].includes(text)) return true;
  return ['0', '0.0', 'no', 'false', 'negative'].includes(text) ? false : null;
}
