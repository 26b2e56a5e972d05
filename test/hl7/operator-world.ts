import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';
import { type OperatorServer, startOperator } from './operator-server.ts';

/** The message log with its server. */
export interface OperatorWorld {
  readonly server: OperatorServer;
  readonly database: Database;
}

/** For a `describe`: a message log without a page, empty before each test. */
export function operatorWorld(settings: Readonly<Record<string, string>>): OperatorWorld {
  let folder: string;
  let fresh: FreshDatabase;
  let server: OperatorServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prelim-operate-'));
    fresh = await freshDatabase();
    server = await startOperator(fresh.database, { keys: folder, page: join(folder, 'nothing'), settings });
  });
  afterAll(async () => {
    await server?.stop();
    await fresh?.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => emptyMessageLog(fresh.database));
  return {
    get server() {
      return server;
    },
    get database() {
      return fresh.database;
    },
  };
}

/** Nothing was ever said. Only retention may take rows out of the log. */
export async function emptyMessageLog(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.run({ text: `SELECT set_config('prelim.retention', 'on', true)` });
    await tx.run({
      text: 'TRUNCATE hl7_inbound, hl7_outbound, hl7_attempt, hl7_action, hl7_selection, hl7_destination, hl7_lane_hold, outbox',
    });
  });
}
