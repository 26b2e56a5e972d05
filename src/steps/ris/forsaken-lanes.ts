import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { Database, type Statement } from '../../database/database.ts';
import { laneJob } from '../../kernel/handoffs.ts';
import { LOGGER } from '../../kernel/log.ts';
import { Outbox } from '../../queue/outbox.ts';

/** Nothing of ours leaves a lane without its job; somebody with `psql` may. So often it is looked for. */
const LOOK_MS = 60_000;

/** The safety net under the jobs of lanes: where something waits and no job is there to send it, one is written. */
@Injectable()
export class ForsakenLanes implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  onApplicationBootstrap(): void {
    // A look that fails is made up for by the next.
    const look = () => void this.look().catch(() => undefined);
    this.timer = setInterval(look, LOOK_MS).unref();
    look();
  }

  beforeApplicationShutdown(): void {
    if (this.timer) clearInterval(this.timer);
  }

  /** Gives how many there were. */
  async look(): Promise<number> {
    const lanes = await this.database.run<{ lane: string; destination: string }>(FORSAKEN);
    for (const { lane, destination } of lanes) {
      // The receiver of `RIS_URL` has its address for a name, and its lanes say no destination.
      const job = laneJob(destination.includes(':') ? { lane } : { lane, destination });
      await this.database.transaction((tx) => this.outbox.add(tx, [job]));
    }
    if (lanes.length > 0) this.log.warn({ lanes: lanes.length }, 'results waited in lanes without a job');
    return lanes.length;
  }
}

/** From lane to lane by their index, however much waits in each; and the job of each by its key. */
const FORSAKEN: Statement = {
  name: 'hl7-lanes-forsaken',
  text: `WITH RECURSIVE lanes AS (
      (SELECT lane, destination FROM hl7_unacknowledged WHERE state = 'waiting' ORDER BY lane, seq LIMIT 1)
      UNION ALL
      SELECT n.lane, n.destination FROM lanes l CROSS JOIN LATERAL (
        SELECT lane, destination FROM hl7_unacknowledged WHERE state = 'waiting' AND lane > l.lane ORDER BY lane, seq LIMIT 1) AS n)
    SELECT lane, destination FROM lanes l WHERE (SELECT o.id FROM outbox o
      WHERE o.queue = CASE WHEN position(':' IN l.destination) > 0 THEN 'ris-send' ELSE 'ris-send@' || l.destination END
        AND o.key = l.lane AND o.state <> 'dead' LIMIT 1) IS NULL`,
};
