import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'csv-parse/sync';
import { jsonString } from '../src/dicom/json-values.ts';
import type { DicomJson } from '../src/dicom/study-source.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import { type EvaluatedCase, evaluateFinding } from '../src/governance/evaluation/evaluate-finding.ts';
import { type Evaluation, evaluationHtml, METHOD } from '../src/governance/evaluation/evaluation-report.ts';
import { Failure } from '../src/kernel/errors.ts';
import type { Finding } from '../src/kernel/handoffs.ts';
import { analyseFolder } from './model-analyse.ts';
import { imageToDicom } from './model-image.ts';
import { findModel, type ModelKit, withKit } from './model-kit.ts';
import { type LabelColumn, type LabelRow, labelColumns, truthOf } from './model-labels.ts';

/**
 * `-- evaluate <model> <folder> <labels.csv>`: a site's acceptance test. Each line of the list names an image (DICOM, PNG, JPEG) or a folder of
 * one study in its column `file`, and says in a column per finding whether it is there (1 or 0; empty: nobody knows). Every case goes the
 * whole way, so the gate's refusals are part of the result. Writes `evaluation.html` and `evaluation.json`.
 */
export async function evaluateModel(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: {
      out: { type: 'string' },
      label: { type: 'string', multiple: true },
      scores: { type: 'string' },
    },
    allowPositionals: true,
  });
  const [name, folder, list] = positionals;
  if (name === undefined || folder === undefined || list === undefined) {
    console.error('name a model, a folder with images, and a list of labels (CSV)');
    return 2;
  }
  const rows = parse(await readFile(list, 'utf8'), {
    columns: true,
    bom: true,
    skip_empty_lines: true,
  }) as LabelRow[];
  return withKit(async (kit) => {
    const model = await findModel(name, kit.settings);
    const columns = labelColumns(model.manifest, Object.keys(rows[0] ?? {}), values.label ?? []);
    const results = await runCases(model, folder, rows, kit);
    const evaluation = evaluationOf(model, columns, results);
    const out = resolve(values.out ?? `evaluation-${model.manifest.id}-${model.manifest.version}`);
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'evaluation.json'), `${JSON.stringify(evaluation, null, 2)}\n`);
    await writeFile(join(out, 'evaluation.html'), evaluationHtml(evaluation));
    if (values.scores) await writeFile(values.scores, scoresCsv(columns, results));
    printSummary(evaluation, out);
    if (results.some(({ findings }) => findings !== null)) return 0;
    console.error('no case has a score: is the folder the one that the paths of the list start from?');
    return 1;
  });
}

interface CaseResult {
  readonly row: LabelRow;
  readonly head: DicomJson;
  readonly findings: readonly Finding[] | null;
  /** Rule or failure code, when there are none. */
  readonly why: string;
}

async function runCases(
  model: RegisteredModel,
  folder: string,
  rows: readonly LabelRow[],
  kit: ModelKit,
): Promise<CaseResult[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'evaluate-'));
  const results: CaseResult[] = [];
  try {
    for (const [i, row] of rows.entries()) {
      results.push(await runCase(model, folder, row, scratch, kit));
      if ((i + 1) % PROGRESS_CASES === 0) process.stderr.write(`${i + 1} of ${rows.length}\n`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return results;
}

const PROGRESS_CASES = 50;
const PICTURES: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg']);

async function runCase(
  model: RegisteredModel,
  folder: string,
  row: LabelRow,
  scratch: string,
  kit: ModelKit,
): Promise<CaseResult> {
  const file = row['file'] ?? row['study'] ?? '';
  const failed = (why: string): CaseResult => ({ row, head: {}, findings: null, why });
  if (file === '') return failed('no file named');
  try {
    let path = resolve(folder, file);
    if (PICTURES.has(extname(path).toLowerCase())) {
      const dicom = await imageToDicom(path, factsOf(row));
      path = join(scratch, 'image.dcm');
      await writeFile(path, dicom);
    }
    const analysed = await analyseFolder(model, path, kit);
    if (analysed.kind === 'refused') return failed(analysed.verdicts[0]?.rule ?? analysed.stage);
    return { row, head: analysed.head, findings: analysed.findings, why: '' };
  } catch (error) {
    if (error instanceof Failure) return failed(error.code);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return failed('no such file');
    throw error;
  }
}

const factsOf = (row: LabelRow) => ({
  view: row['view'] ?? '',
  ageYears: yearsOf(row['age']),
  sex: row['sex'] ?? '',
});

/** `57`, `057Y`, `1-5` (its first number); months and days are years of 0. */
function yearsOf(text: string | undefined): number | null {
  const [, number, unit] = /^(\d{1,3})([YMWD]?)/.exec(text ?? '') ?? [];
  if (number === undefined) return null;
  return unit === '' || unit === 'Y' ? Number(number) : 0;
}

function evaluationOf(
  model: RegisteredModel,
  columns: readonly LabelColumn[],
  results: readonly CaseResult[],
): Evaluation {
  const { ref, manifest } = model;
  const refused: Record<string, number> = {};
  for (const { why } of results) if (why !== '') refused[why] = (refused[why] ?? 0) + 1;
  return {
    model: ref,
    title: manifest.title,
    deviceUid: manifest.device.uid,
    sha256: manifest.file.sha256,
    at: new Date().toISOString(),
    cases: results.length,
    refused,
    method: METHOD,
    claimed: manifest.claims ?? [],
    findings: columns.map(({ rule, column }) =>
      evaluateFinding(
        rule,
        results.flatMap((result) => caseOf(result, rule.key, column) ?? []),
      ),
    ),
  };
}

/** null: no score, or nobody knows the truth. */
function caseOf({ row, head, findings }: CaseResult, key: string, column: string): EvaluatedCase | null {
  const finding = findings?.find((one) => one.key === key);
  const score = finding?.score ?? finding?.value ?? null;
  const isPositive = truthOf(row, column);
  if (score === null || isPositive === null) return null;
  const scanner = [jsonString(head, '00080070'), jsonString(head, '00081090')].filter(Boolean).join(' ');
  return {
    score,
    isPositive,
    sex: row['sex'] ?? jsonString(head, '00100040') ?? '',
    ageYears: yearsOf(row['age'] || (jsonString(head, '00101010') ?? undefined)),
    scanner: row['scanner'] ?? scanner,
  };
}

/** For whoever checks the numbers elsewhere: a line per case, by its place in the list, without its name. */
function scoresCsv(columns: readonly LabelColumn[], results: readonly CaseResult[]): string {
  const head = ['row', ...columns.flatMap(({ rule }) => [`score_${rule.key}`, `truth_${rule.key}`])];
  const lines = results.map((result, i) => [
    i + 1,
    ...columns.flatMap(({ rule, column }) => {
      const one = caseOf(result, rule.key, column);
      return one ? [String(one.score), one.isPositive ? '1' : '0'] : ['', ''];
    }),
  ]);
  return `${[head, ...lines].map((cells) => cells.join(',')).join('\n')}\n`;
}

function printSummary({ cases, refused, findings }: Evaluation, out: string): void {
  const refusals = Object.entries(refused).map(([why, count]) => `${why} ${count}`);
  console.log(`${cases} cases${refusals.length > 0 ? `; without a score: ${refusals.join(', ')}` : ''}`);
  for (const { key, cases, positives, auc } of findings) {
    const area = auc
      ? `${auc.value.toFixed(3)} (${auc.low.toFixed(3)} to ${auc.high.toFixed(3)})`
      : 'none: one kind of case only';
    console.log(`  ${key}: ${positives} of ${cases} positive, ROC AUC ${area}`);
  }
  console.log(`${out}/evaluation.html`);
}
