import { Controller, Get, HttpCode, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { SETTINGS } from './config/settings.token.ts';
import type { Settings } from './config/settings.ts';
import { refusedLately } from './database/connection-failure.ts';
import { Database } from './database/database.ts';
import { STUDY_SOURCE, type StudySource } from './dicom/study-source.ts';
import { ModelRegister } from './governance/model-register.ts';
import { Outbox } from './queue/outbox.ts';
import { AlertWatch } from './steps/message-log/alert-watch.ts';
import { LaneStore } from './steps/message-log/lane.store.ts';
import { OutboundMessageStore, type OutboundState } from './steps/ris/outbound-message.store.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** For the person at 3 a.m.: what is wrong, and what it stops. No names, no ids of patients. */
  readonly detail: string;
}

const CHECK_TIMEOUT_MS = 2_000;
/** A RIS that is back is tried again within 30 s: a message this old has been refused about ten times, and somebody should know. */
export const RIS_UNSENT_S_MAX = 300;

/** Liveness says the process answers; readiness says whether it can do its work, part by part. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly models: ModelRegister,
    private readonly messages: OutboundMessageStore,
    private readonly alerts: AlertWatch,
    private readonly lanes: LaneStore,
    @Inject(STUDY_SOURCE) private readonly source: StudySource,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  @Get('live')
  @HttpCode(200)
  live(): object {
    return { status: 'live' };
  }

  /**
   * 200 while the database answers and stores what it is given: without it nothing goes. All else is named with `ok: false` and leaves the server ready: it takes orders and
   * studies, and what waits is kept.
   */
  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    // No token is asked for: however many ask at once, one look is taken.
    this.looking ??= this.look().finally(() => {
      this.looking = null;
    });
    const checks = await this.looking;
    const ready = checks.filter((check) => NEEDED.has(check.name)).every((check) => check.ok);
    reply.status(ready ? 200 : 503);
    return { status: ready ? 'ready' : 'not ready', checks };
  }

  private looking: Promise<Check[]> | null = null;

  private look(): Promise<Check[]> {
    return Promise.all([
      this.databaseAnswers(),
      this.queueMoves(),
      this.modelsLoaded(),
      this.pacsAnswers(),
      this.risTakes(),
      this.hl7IsQuiet(),
    ]);
  }

  private databaseAnswers(): Promise<Check> {
    return check('database', async () => {
      await this.database.run({ text: 'SELECT 1' });
      const refused = refusedLately();
      return refused === null
        ? { ok: true, detail: 'answers' }
        : { ok: false, detail: `answers, and refused to store something within the last minute. ${refused}` };
    });
  }

  private queueMoves(): Promise<Check> {
    return check('queue', async () => {
      const counts = await this.outbox.counts(this.database);
      const of = (state: string) =>
        counts.filter((row) => row.state === state).reduce((sum, row) => sum + row.jobs, 0);
      const waits = counts.filter((row) => row.state === 'waiting' || row.state === 'held');
      const oldest = Math.max(0, ...waits.map((row) => row.oldest_seconds));
      const dead = of('dead');
      const detail = `${of('waiting') + of('held')} waiting (oldest ${Math.round(oldest)} s), ${of('running')} running, ${dead} dead letters`;
      return { ok: dead === 0, detail: dead === 0 ? detail : `${detail}: see GET /jobs/dead` };
    });
  }

  private async modelsLoaded(): Promise<Check> {
    const refused = this.models.refusals().length;
    return {
      name: 'models',
      ok: refused === 0,
      detail: `${this.models.list().length} loaded, ${refused} refused`,
    };
  }

  private pacsAnswers(): Promise<Check> {
    return check('pacs', async () => {
      if (!this.settings.DICOMWEB_URL) return { ok: true, detail: 'the embedded archive' };
      await this.source.recentStudies(1);
      return { ok: true, detail: 'answers' };
    });
  }

  /** Kinds of alerts and how many: the page of the operator has the rest. */
  private hl7IsQuiet(): Promise<Check> {
    return check('hl7', async () => {
      const kinds = (await this.alerts.now()).map((one) => one.kind);
      const words = [...new Set(kinds)].map(
        (kind) => `${kind} (${kinds.filter((one) => one === kind).length})`,
      );
      return words.length === 0
        ? { ok: true, detail: 'no alert' }
        : { ok: false, detail: `alerts: ${words.join(', ')}: see /operator` };
    });
  }

  /** The RIS is not asked: it sees messages and nothing else. What it has not taken says how it is. */
  private risTakes(): Promise<Check> {
    return check('ris', async () => {
      const destinations = this.alerts.destinations();
      if (destinations.length < 2) return risState(await this.messages.state(), destinations.length > 0);
      const names = destinations.map(({ name }) => name);
      const [depths, acks] = await Promise.all([this.lanes.destinations(), this.lanes.lastAcks(names)]);
      return risStates(
        destinations.map(({ name, queue }) => {
          const depth = depths.find(({ destination }) => destination === name);
          return {
            // The one of RIS_URL is named by its address, which is not for everybody.
            name: queue.includes('@') ? name : 'RIS_URL',
            waiting: depth?.waiting ?? 0,
            oldestSeconds: depth?.oldest_s ?? 0,
            lastAckAt: acks.get(name) ?? null,
          };
        }),
      );
    });
  }
}

/** The same for several receivers: each by its name, and one that is not well is enough. */
export function risStates(
  states: readonly (OutboundState & { readonly name: string })[],
): Omit<Check, 'name'> {
  const each = states.map(({ name, ...state }) => ({ name, ...risState(state, true) }));
  return {
    ok: each.every(({ ok }) => ok),
    detail: each.map(({ name, detail }) => `${name}: ${detail}`).join(' | '),
  };
}

/** How the RIS is, from what waits for it. */
export function risState(
  { waiting, oldestSeconds, lastAckAt }: OutboundState,
  configured: boolean,
): Omit<Check, 'name'> {
  if (!configured && waiting === 0) return { ok: true, detail: 'no RIS configured' };
  const parts = [
    ...(configured ? [] : ['no RIS configured']),
    waiting === 0 ? 'no message waits' : `${waiting} messages waiting, oldest ${Math.round(oldestSeconds)} s`,
    lastAckAt ? `last ACK ${lastAckAt.toISOString()}` : 'no ACK yet',
  ];
  return { ok: oldestSeconds <= RIS_UNSENT_S_MAX, detail: parts.join('; ') };
}

const NEEDED: ReadonlySet<string> = new Set(['database']);

type Answer = Omit<Check, 'name'>;

async function check(name: string, ask: () => Promise<Answer>): Promise<Check> {
  const patience = new Promise<Answer>((_, reject) =>
    setTimeout(() => reject(new Error('no answer in time')), CHECK_TIMEOUT_MS).unref(),
  );
  try {
    return { name, ...(await Promise.race([ask(), patience])) };
  } catch {
    return { name, ok: false, detail: 'does not answer' };
  }
}
