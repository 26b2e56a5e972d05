import type { JobGround } from '../../src/queue/job.ts';

/** For handlers that are run by hand and do not care whose job it is. */
export const GROUND: JobGround = {
  claim: { runner: 1, isHeld: () => true },
  progressed: () => undefined,
};
