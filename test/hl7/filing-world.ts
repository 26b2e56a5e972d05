import { createHash, randomUUID } from 'node:crypto';
import type { Identifier, Resource } from '@medplum/fhirtypes';
import { pino } from 'pino';
import type { Database } from '../../src/database/database.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { FilingStep } from '../../src/steps/filing/filing.step.ts';
import { InboundQueueStore } from '../../src/steps/filing/inbound-queue.store.ts';
import { freshDatabase } from '../database.ts';

/** What the row of a message says after filing. */
export interface FiledRow {
  readonly id: string;
  readonly filing_outcome: string | null;
  readonly filing_location: string;
  readonly flags: string[];
  readonly mrn: string | null;
  readonly accession: string | null;
}

export type Stored<T extends Resource> = T & { version: string };

/** Filing over a database of its own. Messages are stored as the door stores them; only its answer is left out. */
export interface FilingWorld {
  readonly database: Database;
  readonly store: ResourceStore;
  readonly step: FilingStep;
  /** Stores messages in their order, without filing them. */
  keep(...messages: readonly (string | Buffer)[]): Promise<string[]>;
  /** Stores and files; the rows in the order of the messages. */
  file(...messages: readonly (string | Buffer)[]): Promise<FiledRow[]>;
  rows(ids: readonly string[]): Promise<FiledRow[]>;
  find<T extends Resource>(type: T['resourceType'], query: string): Promise<Stored<T>[]>;
  read<T extends Resource>(reference: string | undefined): Promise<Stored<T>>;
  /** A step over the same database with another store or settings. */
  otherStep(change?: {
    database?: Database;
    store?: ResourceStore;
    settings?: Partial<FilingSettings>;
  }): FilingStep;
  close(): Promise<void>;
}

type FilingSettings = ConstructorParameters<typeof FilingStep>[4];

const SETTINGS: FilingSettings = {
  SITE_TIME_ZONE: 'America/St_Johns',
  HL7_CHARSET: 'UNICODE UTF-8',
  HL7_ACCESSION_FROM: 'IPC-1,OBR-18',
  HL7_SENDING_APPLICATION: 'PRELIM',
  HL7_SENDING_FACILITY: 'RADIOLOGY',
};

export async function makeFilingWorld(): Promise<FilingWorld> {
  const { database, close } = await freshDatabase();
  await loadDefinitions();
  const store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  const outbox = new Outbox();
  const otherStep: FilingWorld['otherStep'] = (change = {}) =>
    new FilingStep(
      change.database ?? database,
      change.store ?? store,
      outbox,
      new InboundQueueStore(),
      { ...SETTINGS, ...change.settings },
      pino({ level: 'silent' }),
    );
  const step = otherStep();
  const keep: FilingWorld['keep'] = async (...messages) => {
    const ids: string[] = [];
    for (const message of messages) {
      const raw = Buffer.from(message);
      const hash = createHash('sha256').update(raw).update(randomUUID()).digest();
      const [row] = await database.run<{ id: string }>(KEEP, [raw, hash]);
      ids.push(row!.id);
    }
    return ids;
  };
  const rows: FilingWorld['rows'] = async (ids) => {
    const found = await database.run<FiledRow>(ROWS, [ids]);
    return ids.map((id) => found.find((row) => row.id === id)!);
  };
  const file: FilingWorld['file'] = async (...messages) => {
    const ids = await keep(...messages);
    while ((await step.run({})).kind === 'later');
    return rows(ids);
  };
  const find: FilingWorld['find'] = async <T extends Resource>(type: T['resourceType'], query: string) =>
    (await store.search(type, query)).matches.map((match) => ({
      ...match.parse<T>(),
      version: match.versionId,
    }));
  const read: FilingWorld['read'] = async <T extends Resource>(reference: string | undefined) => {
    const [type = '', id = ''] = (reference ?? '').split('/');
    const stored = await store.read(type, id);
    if (!stored || stored.deleted) throw new Error(`there is no ${reference}`);
    return { ...stored.parse<T>(), version: stored.versionId };
  };
  return { database, store, step, keep, file, rows, find, read, otherStep, close };
}

/** `system|value` of the numbers a resource has, with its use where it has one. */
export const numbersOf = (resource: { identifier?: Identifier[] }): string[] =>
  (resource.identifier ?? []).map(({ value, use }) => (use ? `${value} ${use}` : String(value)));

/** Message lines with a header of our own; every call has another control id. */
export function message(type: string, lines: readonly string[], sender = 'OE|HOSP'): string {
  const id = randomUUID().replaceAll('-', '').slice(0, 18);
  return [`MSH|^~\\&|${sender}|PRELIM|RAD|20260115101522||${type}|${id}|P|2.5.1`, ...lines, ''].join('\r');
}

const KEEP = {
  text: `INSERT INTO hl7_inbound (sending_application, sending_facility, control_id, content_sha256, raw, ack, outcome)
    VALUES ('OE', 'HOSP', '', $2, $1, '', 'accept') RETURNING id`,
};
const ROWS = {
  text: `SELECT id, filing_outcome, filing_location, flags, mrn, accession FROM hl7_inbound WHERE id = ANY($1::bigint[])`,
};
