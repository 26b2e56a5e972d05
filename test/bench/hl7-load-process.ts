import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Hl7LoadJob, Hl7LoadResult } from './hl7-load.ts';

/** Where the floor of both directions commits its rows: a message of the usual size in each. */
export const FLOOR_TABLE = `CREATE TABLE floor_message (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT now(), control_id text NOT NULL, raw bytea NOT NULL)`;

/** What loads, in a process of its own, one job at a time. */
export class Hl7LoadProcess {
  private readonly child: ChildProcess = fork(join(import.meta.dirname, 'hl7-load.js'), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });

  async run(job: Hl7LoadJob): Promise<Hl7LoadResult> {
    this.child.send(job);
    const [answer] = (await once(this.child, 'message')) as [{ result?: Hl7LoadResult; error?: string }];
    if (!answer.result) throw new Error(answer.error);
    return answer.result;
  }

  stop(): void {
    this.child.disconnect();
  }
}
