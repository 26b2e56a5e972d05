import type {
  Binary,
  DiagnosticReport,
  ImagingStudy,
  List,
  Media,
  Observation,
  Patient,
  Resource,
  ServiceRequest,
  Task,
} from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { type AccessContext, accessCondition, demandAccess } from '../../fhir/access-context.ts';
import { SqlParameters } from '../../fhir/sql-parameters.ts';
import { ANALYSIS_CODE } from '../../governance/analysis-task.ts';
import { noteShown } from '../../kernel/acting.ts';
import { type AnalysisRecord, idOf, taskToRow } from './task-to-row.ts';
import type { WorklistRow } from './worklist-row.ts';

/** Rows of one list. A department reads some hundred studies a day; the page says so when there are more. */
export const ROWS_MAX = 500;

/** Largest key picture handed out: a 768 × 768 PNG has well under 2 MB. */
export const PICTURE_BYTES_MAX = 8 * 1024 * 1024;

export interface WorklistRows {
  readonly rows: readonly WorklistRow[];
  /** true: there are older analyses that are not on the list. */
  readonly more: boolean;
}

/** Reads worklist rows out of the FHIR record, each read with the rights of the caller. Keeps nothing. */
@Injectable()
export class WorklistStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** The newest `ROWS_MAX` analyses. Throws `auth.scope` when the caller may not see what a row is made of. */
  async rows(access: AccessContext): Promise<WorklistRows> {
    const records = await this.records(access, null);
    return { rows: records.slice(0, ROWS_MAX).map(taskToRow), more: records.length > ROWS_MAX };
  }

  /** Those of the given analyses (`ROWS_MAX` at most) that the caller may see. Other and unknown ids are passed over. */
  async rowsOf(access: AccessContext, taskIds: readonly string[]): Promise<readonly WorklistRow[]> {
    if (taskIds.length === 0) return [];
    return (await this.records(access, taskIds.slice(0, ROWS_MAX))).map(taskToRow);
  }

  /** PNG bytes of the key picture of one analysis; null when there is none, or it is no PNG. */
  async picture(access: AccessContext, taskId: string): Promise<Buffer | null> {
    const [record] = await this.records(access, [taskId]);
    const id = idOf('Binary', record?.media?.content?.url);
    if (id === null) return null;
    demandAccess(access, 'Binary', 'read');
    const parameters = new SqlParameters();
    const one = `r.type = 'Binary' AND r.id = ${parameters.add(id)} AND NOT r.deleted`;
    const allowed = accessCondition(access, 'Binary', 'read', 'r', parameters) ?? 'TRUE';
    const text = `SELECT r.content FROM resource r WHERE ${one} AND (${allowed})`;
    const [row] = await this.database.run<{ content: string }>({ text }, parameters.values);
    return row ? pngOf(JSON.parse(row.content) as Binary) : null;
  }

  /** Throws `auth.scope` when the caller may not see what a row is made of: it would lie by leaving things out. */
  demand(access: AccessContext): void {
    demandAccess(access, 'Task', 'search');
    for (const type of READ_TYPES) demandAccess(access, type, 'read');
  }

  /** Does the caller see every resource of these types? Then what was read for one such caller is right for all of them. */
  seesAll(access: AccessContext): boolean {
    const condition = (type: string) =>
      access.condition(type, type === 'Task' ? 'search' : 'read', 'r', new SqlParameters());
    return ['Task', ...READ_TYPES, 'List'].every((type) => condition(type) === null);
  }

  private async records(access: AccessContext, taskIds: readonly string[] | null): Promise<AnalysisRecord[]> {
    this.demand(access);
    const parameters = new SqlParameters();
    const text = selectRecords(access, taskIds, parameters);
    const found = await this.database.run<FoundRow>({ text }, parameters.values);
    const records = joinRecords(found.map((row) => JSON.parse(row.content) as Resource));
    for (const { task } of records) if (task.for) noteShown(JSON.stringify(task.for));
    return records;
  }
}

interface FoundRow {
  readonly content: string;
}

/** What a row is made of beside its Task. */
const READ_TYPES = [
  'Patient',
  'ImagingStudy',
  'ServiceRequest',
  'DiagnosticReport',
  'Observation',
  'Media',
] as const;

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/**
 * One statement for the whole list, so that all rows are of one moment: Tasks, then what they name, then what the reports
 * name. References are cut out of the JSON text, which the store writes without blanks; inside a JSON string every quote has
 * a backslash, so no text in a resource can pass for a reference. A name too many costs one row and nothing else: `taskToRow`
 * goes by the fields.
 */
function selectRecords(
  access: AccessContext,
  taskIds: readonly string[] | null,
  parameters: SqlParameters,
): string {
  const allowed = (type: string, interaction: 'read' | 'search', alias: string) =>
    accessCondition(access, type, interaction, alias, parameters) ?? 'TRUE';
  const allowedAny = (types: readonly string[], alias: string) =>
    types.map((type) => `${alias}.type = '${type}' AND (${allowed(type, 'read', alias)})`).join(' OR ');
  const code = parameters.add(`Task.code@${ANALYSIS_CODE.system}|${ANALYSIS_CODE.code}`, 'text');
  const chosen = taskIds === null ? 'TRUE' : `t.id = ANY(${parameters.add(taskIds, 'text[]')})`;
  const near = ['Patient', 'ImagingStudy', 'ServiceRequest', 'DiagnosticReport'];
  // The order is asked for again: it may have been matched to the study after the Task was written.
  const far = ['Observation', 'Media', 'ServiceRequest'];
  return `
    WITH task AS MATERIALIZED (
      SELECT t.content, t.last_updated FROM resource t
      WHERE t.type = 'Task' AND NOT t.deleted AND t.tokens @> ARRAY[${code}] AND ${chosen} AND (${allowed('Task', 'search', 't')})
      ORDER BY t.last_updated DESC, t.id LIMIT ${ROWS_MAX + 1}
    ), near AS MATERIALIZED (
      SELECT n.type, n.id, n.content FROM (SELECT DISTINCT ${references('task', near)}) wanted
      JOIN resource n ON n.type = wanted.type AND n.id = wanted.id
      WHERE NOT n.deleted AND (${allowedAny(near, 'n')})
    ), far AS (
      SELECT f.content FROM (SELECT DISTINCT ${references("(SELECT content FROM near WHERE type IN ('DiagnosticReport', 'ImagingStudy')) named", far)}) wanted
      JOIN resource f ON f.type = wanted.type AND f.id = wanted.id
      WHERE NOT f.deleted AND (${allowedAny(far, 'f')})
    )
    SELECT content FROM (SELECT content FROM task ORDER BY last_updated DESC) newest
    UNION ALL SELECT content FROM near
    UNION ALL SELECT content FROM far
    UNION ALL SELECT l.content FROM near JOIN resource l ON near.type = 'ImagingStudy' AND l.type = 'List' AND l.id = near.id
      WHERE NOT l.deleted AND (${allowed('List', 'read', 'l')})`;
}

/** A regular expression over 500 reports took 1.5 s here; cutting at the key takes some milliseconds. */
function references(from: string, types: readonly string[]): string {
  const listed = types.map((type) => `'${type}'`).join(', ');
  return `split_part(reference, '/', 1) COLLATE "C" AS type, split_part(reference, '/', 2) COLLATE "C" AS id
    FROM (SELECT split_part(piece, '"', 1) AS reference FROM ${from}, string_to_table(content, '"reference":"') piece) cut
    WHERE split_part(reference, '/', 1) IN (${listed})`;
}

/** Resources of one reading → one record per Task, in the order of the Tasks. */
function joinRecords(resources: readonly Resource[]): AnalysisRecord[] {
  const byReference = new Map(
    resources.map((resource) => [`${resource.resourceType}/${resource.id}`, resource]),
  );
  const find = <T extends Resource>(type: T['resourceType'], reference: string | undefined): T | null => {
    const id = idOf(type, reference);
    return id === null ? null : ((byReference.get(`${type}/${id}`) as T | undefined) ?? null);
  };
  const tasks = resources.filter((resource): resource is Task => resource.resourceType === 'Task');
  return tasks.map((task) => {
    const output = task.output?.find((one) => one.type?.text === 'report')?.valueReference;
    const report = find<DiagnosticReport>('DiagnosticReport', output?.reference);
    const study = find<ImagingStudy>('ImagingStudy', task.focus?.reference);
    const orders = [...(study?.basedOn ?? []), ...(task.basedOn ?? [])];
    return {
      task,
      patient: find<Patient>('Patient', task.for?.reference),
      study,
      order:
        orders
          .map((one) => find<ServiceRequest>('ServiceRequest', one.reference))
          .find((one) => one !== null) ?? null,
      report,
      observations: (report?.result ?? []).flatMap(
        (one) => find<Observation>('Observation', one.reference) ?? [],
      ),
      priorStudies: study?.id ? find<List>('List', `List/${study.id}`) : null,
      media: find<Media>('Media', report?.media?.[0]?.link?.reference),
    };
  });
}

/** Only a real PNG leaves this door: whatever a Binary claims to be, its first bytes decide. */
function pngOf(binary: Binary): Buffer | null {
  if (binary.contentType !== 'image/png' || (binary.data?.length ?? 0) > (PICTURE_BYTES_MAX * 4) / 3)
    return null;
  const bytes = Buffer.from(binary.data ?? '', 'base64');
  return bytes.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE) ? bytes : null;
}
