import { Controller, Get, HttpCode, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Settings } from './config/settings.ts';
import { SETTINGS } from './config/settings.token.ts';
import { Database } from './database/database.ts';
import { STUDY_SOURCE, type StudySource } from './dicom/study-source.ts';
import { ModelRegister } from './governance/model-register.ts';
import { Outbox } from './queue/outbox.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** For the person at 3 a.m.: what is wrong, and what it stops. No names, no ids of patients. */
  readonly detail: string;
}

const CHECK_TIMEOUT_MS = 2_000;

/** Liveness says the process answers; readiness says whether it can do its work, part by part. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly models: ModelRegister,
    @Inject(STUDY_SOURCE) private readonly source: StudySource,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  @Get('live')
  @HttpCode(200)
  live(): object {
    return { status: 'live' };
  }

  /** 200 when everything that the server itself needs is there; a PACS or RIS that is down is named but does not make it unready. */
  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const checks = await Promise.all([this.databaseAnswers(), this.queueMoves(), this.modelsLoaded(), this.pacsAnswers()]);
    const ready = checks.filter((check) => NEEDED.has(check.name)).every((check) => check.ok);
    reply.status(ready ? 200 : 503);
    return { status: ready ? 'ready' : 'not ready', checks };
  }

  private databaseAnswers(): Promise<Check> {
    return check('database', async () => {
      await this.database.run({ text: 'SELECT 1' });
      return 'answers';
    });
  }

  private queueMoves(): Promise<Check> {
    return check('queue', async () => {
      const counts = await this.outbox.counts(this.database);
      const of = (state: string) => counts.filter((row) => row.state === state).reduce((sum, row) => sum + row.jobs, 0);
      const oldest = Math.max(0, ...counts.filter((row) => row.state === 'waiting').map((row) => row.oldest_seconds));
      return `${of('waiting')} waiting (oldest ${Math.round(oldest)} s), ${of('running')} running, ${of('dead')} dead letters`;
    });
  }

  private async modelsLoaded(): Promise<Check> {
    const refused = this.models.refusals().length;
    return { name: 'models', ok: refused === 0, detail: `${this.models.list().length} loaded, ${refused} refused` };
  }

  private pacsAnswers(): Promise<Check> {
    return check('pacs', async () => {
      if (!this.settings.DICOMWEB_URL) return 'the embedded archive';
      await this.source.recentStudies(1);
      return 'answers';
    });
  }
}

const NEEDED: ReadonlySet<string> = new Set(['database', 'queue']);

async function check(name: string, ask: () => Promise<string>): Promise<Check> {
  const patience = new Promise<string>((_, reject) => setTimeout(() => reject(new Error('no answer in time')), CHECK_TIMEOUT_MS).unref());
  try {
    return { name, ok: true, detail: await Promise.race([ask(), patience]) };
  } catch {
    return { name, ok: false, detail: 'does not answer' };
  }
}
