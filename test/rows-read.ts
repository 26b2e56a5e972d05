import type { Sql, Statement } from '../src/database/database.ts';

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly PlanNode[];
}

/**
 * How many rows of tables PostgreSQL looked at for a statement, those that it threw away again included: what it costs on a table of any size, whatever else
 * the machine does meanwhile.
 */
export async function rowsRead(sql: Sql, text: string, values: readonly unknown[] = []): Promise<number> {
  const [row] = await sql.run<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
    { text: `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}` },
    values,
  );
  const count = (node: PlanNode): number => {
    const here =
      (node['Actual Rows'] ?? 0) +
      (node['Rows Removed by Filter'] ?? 0) +
      (node['Rows Removed by Index Recheck'] ?? 0);
    const own = node['Relation Name'] === undefined ? 0 : here * (node['Actual Loops'] ?? 1);
    return own + (node.Plans ?? []).reduce((sum, one) => sum + count(one), 0);
  };
  return (row?.['QUERY PLAN'] ?? []).reduce((sum, { Plan }) => sum + count(Plan), 0);
}

/** Stands before a database: what is asked of it is answered, and `rows` counts what each statement looked at. */
export function countingRows<T extends Sql>(sql: T): T & { rows: number } {
  const counted = Object.assign(Object.create(sql), { rows: 0 }) as T & { rows: number };
  counted.run = async <Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> => {
    counted.rows += await rowsRead(sql, statement.text, values);
    return sql.run<Row>(statement, values);
  };
  return counted;
}
