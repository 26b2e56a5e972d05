import { Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { ANALYSIS_QUEUE, type AnalysisRequested } from '../../kernel/handoffs.ts';
import { Outbox } from '../../queue/outbox.ts';

/** Requests by `$analyze` that no step has taken up yet: rows of the outbox under the Task's id as key. */
@Injectable()
export class AnalysisRequestsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** Asks for the analysis. Asked for again before it is taken up it stays one job. */
  async add(taskId: string, payload: AnalysisRequested): Promise<void> {
    await this.database.transaction((tx) =>
      this.outbox.add(tx, [{ queue: ANALYSIS_QUEUE, key: taskId, payload, priority: 10 }]),
    );
  }

  /**
   * Which ImagingStudy a request for this Task is about; null: there is none. It is gone in the moment in which the Task is written, so who asks here first and then
   * reads the Task misses neither.
   */
  async studyOf(taskId: string): Promise<string | null> {
    const [row] = await this.database.run<{ study: string }>(STUDY_OF, [ANALYSIS_QUEUE, taskId]);
    return row?.study ?? null;
  }
}

/** By the unique index that keeps keys apart; a dead letter is no request any more. */
const STUDY_OF = {
  name: 'analysis-request-study',
  text: `SELECT payload ->> 'imagingStudyId' AS study FROM outbox WHERE queue = $1 AND key = $2 AND key IS NOT NULL AND state <> 'dead'`,
};
