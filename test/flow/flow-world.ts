import { setTimeout as sleep } from 'node:timers/promises';
import type { DiagnosticReport, Task } from '@medplum/fhirtypes';
import pg from 'pg';
import { expect } from 'vitest';
import { orderMessage } from '../../demo/order-message.ts';
import { freshDatabaseUrl } from '../database.ts';
import { type Answer, PrelimServer } from '../peers/prelim-server.ts';
import { fieldOf, type RisPeer, sendOrder, startRis } from '../peers/ris.ts';
import type { TestStudy } from './studies.ts';

/** A server with a database of its own, a RIS, and a view into the database that shares no code with the server. */
export interface FlowWorld {
  readonly server: PrelimServer;
  readonly ris: RisPeer;
  readonly sql: pg.Pool;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** Without it the world is made and the server is not started. */
  readonly start?: boolean;
}

export async function makeWorld({ settings = {}, start = true }: WorldOptions = {}): Promise<FlowWorld> {
  // A URL needs a host beside a user; the socket folder in the query wins over it.
  const url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  const ris = await startRis();
  const server = await PrelimServer.make({ DATABASE_URL: url, RIS_URL: ris.url.href, ...settings });
  const sql = new pg.Pool({ connectionString: url, max: 4 });
  sql.on('error', () => undefined);
  const close = async () => {
    await server.close();
    await ris.close();
    await sql.end();
  };
  if (start) {
    await server.start().catch(async (error: unknown) => {
      await close();
      throw error;
    });
  }
  return { server, ris, sql, close };
}

let orders = 0;

/** Sends the study's order. Gives the code of the acknowledgement. */
export async function order({ server }: FlowWorld, study: TestStudy): Promise<string> {
  orders += 1;
  const controlId = `T${process.pid}X${Date.now().toString(36).toUpperCase()}${orders}`;
  const answer = await sendOrder(server.mllpPort, orderMessage(study.exam, controlId, new Date()));
  return fieldOf(answer, 'MSA', 1);
}

/** STOW-RS written by hand (PS3.18 10.5), not by the client that the server itself uses. */
export function stow(server: PrelimServer, files: readonly Uint8Array[]): Promise<Answer> {
  const parts = files.flatMap((file) => [
    Buffer.from('--edge\r\nContent-Type: application/dicom\r\n\r\n'),
    file,
    Buffer.from('\r\n'),
  ]);
  return server.ask(
    'POST',
    '/dicomweb/studies',
    new Uint8Array(Buffer.concat([...parts, Buffer.from('--edge--\r\n')])),
    {
      'content-type': 'multipart/related; type="application/dicom"; boundary=edge',
      accept: 'application/dicom+json',
    },
  );
}

/** The Tasks of one study, whatever the model. */
export async function tasksOf({ sql }: FlowWorld, study: TestStudy): Promise<Task[]> {
  const { rows } = await sql.query(
    `SELECT content FROM resource WHERE type = 'Task' AND NOT deleted AND position($1 IN content) > 0`,
    [study.uid],
  );
  return rows.map((row) => JSON.parse(row.content) as Task);
}

/** The one Task of the study, once it has ended as `status`. Fails at once when it ends otherwise. */
export async function taskEnded(
  world: FlowWorld,
  study: TestStudy,
  status: Task['status'],
  withinMs = 20_000,
): Promise<Task> {
  let task: Task | undefined;
  await until(async () => {
    [task] = await tasksOf(world, study);
    return task !== undefined && !['requested', 'in-progress'].includes(String(task.status));
  }, withinMs);
  if (task?.status !== status)
    throw new Error(`the Task is ${task?.status}: ${JSON.stringify(task?.statusReason)}`);
  return task;
}

export function reportIdOf(task: Task): string {
  const reference = task.output?.find((output) => output.type?.text === 'report')?.valueReference?.reference;
  if (!reference) throw new Error('the Task names no report');
  return reference.split('/')[1] ?? '';
}

export async function read<T>(world: FlowWorld, reference: string): Promise<T> {
  const answer = await world.server.ask('GET', `/fhir/${reference}`);
  expect(answer.status).toBe(200);
  return answer.body as T;
}

export const fillerOf = (report: DiagnosticReport): string =>
  report.identifier?.find((identifier) => identifier.system?.endsWith('/filler'))?.value ?? '';

/** Messages at the RIS with this filler number (OBR-3), every arrival. */
export function messagesFor({ ris }: FlowWorld, filler: string): Buffer[] {
  return ris.messages.filter((message) => fieldOf(message, 'OBR', 3).split('^')[0] === filler);
}

/** Nothing waits, runs or lies dead any more. */
export async function outboxEmpty({ sql }: FlowWorld, withinMs = 20_000): Promise<void> {
  let rows: unknown[] = [];
  const look = async () => {
    ({ rows } = await sql.query('SELECT queue, state, attempt, reason FROM outbox'));
    return rows.length === 0;
  };
  await until(look, withinMs).catch(() => {
    throw new Error(`jobs are left: ${JSON.stringify(rows)}`);
  });
}

/**
 * The promise of the whole server, for one study: one report in one version, one completed Task, one message accepted by the
 * RIS. Repeats on the wire after a lost acknowledgement are the same bytes.
 */
export async function expectExactlyOnce(world: FlowWorld, study: TestStudy): Promise<void> {
  const task = await taskEnded(world, study, 'completed');
  expect(await tasksOf(world, study)).toHaveLength(1);
  const id = reportIdOf(task);
  const { rows } = await world.sql.query(
    `SELECT type, version FROM resource WHERE type IN ('DiagnosticReport', 'Observation', 'Provenance')
    AND position($1 IN tokens::text || content) > 0`,
    [id],
  );
  const report = rows.filter((row) => row.type === 'DiagnosticReport');
  expect(report).toEqual([{ type: 'DiagnosticReport', version: 1 }]);
  const filler = fillerOf(await read<DiagnosticReport>(world, `DiagnosticReport/${id}`));
  await until(async () => {
    const { rows: told } = await world.sql.query('SELECT state FROM hl7_outbound WHERE report_id = $1', [id]);
    return told.length > 0 && told.every(({ state }) => state === 'acknowledged');
  }).catch(async (late: Error) => {
    throw new Error(`${late.message}: ${JSON.stringify(await whatWaits(world, id))}`);
  });
  const sent = messagesFor(world, filler);
  expect(new Set(sent.map((message) => message.toString('hex'))).size).toBe(1);
  const ids = new Set(sent.map((message) => fieldOf(message, 'MSH', 10)));
  expect([...ids].filter((controlId) => world.ris.accepted.includes(controlId))).toHaveLength(1);
  const stored = await world.sql.query('SELECT control_id, state FROM hl7_outbound WHERE report_id = $1', [
    id,
  ]);
  expect(stored.rows).toEqual([{ control_id: [...ids][0], state: 'acknowledged' }]);
}

/** Where a message stands that did not arrive: its row, and all jobs. */
async function whatWaits(world: FlowWorld, reportId: string): Promise<unknown> {
  const messages = await world.sql.query(
    'SELECT state, attempts, lane, destination FROM hl7_outbound WHERE report_id = $1',
    [reportId],
  );
  const jobs = await world.sql.query('SELECT to_jsonb(o) AS job, now() FROM outbox o ORDER BY id LIMIT 50');
  return { messages: messages.rows, jobs: jobs.rows };
}

export async function until(test: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  for (const end = Date.now() + withinMs; !(await test()); ) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await sleep(15);
  }
}
