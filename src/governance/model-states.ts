import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { ModelRegister } from './model-register.ts';
import { ModelReleaseStore } from './model-release.store.ts';
import { sendsOut } from './model-release.ts';

/** A release by the command line is known to every process within this time. One small query of a table with a row per release. */
export const STATES_REFRESH_MS = 5_000;

/** Keeps the register's states as the database has them. */
@Injectable()
export class ModelStates implements OnModuleInit, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly models: ModelRegister,
    private readonly releases: ModelReleaseStore,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'PRELIM_MODEL_STATE'>,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.refresh();
    // A database that is away for a moment changes no state: the last ones known go on.
    this.timer = setInterval(() => void this.refresh().catch(() => undefined), STATES_REFRESH_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  async refresh(): Promise<void> {
    const current = await this.releases.current();
    // Released was a file: another one under the same name and version has not been.
    const states = new Map(
      [...current].flatMap(([model, { state, sha256 }]) =>
        this.models.get(model)?.manifest.file.sha256 === sha256 ? [[model, state] as const] : [],
      ),
    );
    this.models.setStates(states, this.settings.PRELIM_MODEL_STATE);
  }

  /** Asked of the database, at the moment when something would leave: a model put into shadow a second ago sends nothing. */
  async mayLeave(ref: string): Promise<boolean> {
    await this.refresh();
    return this.mayLeaveAsKnown(ref);
  }

  /** As it stood `STATES_REFRESH_MS` ago at most: for inside a transaction, where a second connection must not be waited for. */
  mayLeaveAsKnown(ref: string): boolean {
    return sendsOut(this.models.stateOf(ref));
  }
}
