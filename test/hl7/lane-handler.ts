import type { LaneDue } from '../../src/kernel/handoffs.ts';
import type { Job, JobHandler } from '../../src/queue/job.ts';
import type { RisSendStep } from '../../src/steps/ris/ris-send.step.ts';
import type { StepResult, StepTold } from '../../src/steps/step.ts';

export interface LaneRuns {
  readonly handler: JobHandler;
  /** What was told of messages. */
  readonly told: Pick<StepTold, 'end' | 'why'>[];
  /** How each run of a lane's job went. */
  readonly results: StepResult<never>[];
}

/** The step that sends, as jobs: what the flow makes of it where it is the only step. */
export function laneHandler(step: RisSendStep, concurrency = 8): LaneRuns {
  const told: LaneRuns['told'] = [];
  const results: LaneRuns['results'] = [];
  const handler: JobHandler = {
    queue: 'ris-send',
    concurrency,
    attemptsMax: 10,
    run: async (job, ground) => {
      const tell = ({ end, why }: StepTold) => void told.push({ end, why });
      const result = await step.run(job.payload as unknown as LaneDue, job as unknown as Job<LaneDue>, {
        ...ground,
        tell,
      });
      results.push(result);
      if (result.kind !== 'later') return { kind: 'done' };
      return { ...result, kind: 'again', free: true };
    },
  };
  return { handler, told, results };
}
