import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { LOGGER } from '../../kernel/log.ts';
import {
  type LogTable,
  RETENTION_LARGE_ROWS_MAX,
  RETENTION_ROWS_MAX,
  RetentionStore,
} from './retention.store.ts';

export type RetentionSettings = Pick<
  Settings,
  'HL7_KEPT_DAYS' | 'HL7_KEPT_DAYS_BY_TYPE' | 'HL7_LARGE_KEPT_DAYS' | 'HL7_LARGE_BYTES' | 'PRELIM_ROLES'
>;

/** What is over by the day need not go by the minute. */
export const RETENTION_MS = 3_600_000;
/** The first round comes when the start is over. */
const FIRST_ROUND_MS = 60_000;
/** Between two steps, so that retention never takes more than a small share of the database. */
export const RETENTION_PAUSE_MS = 100;

/** What one round took away. */
export interface Retained {
  readonly deleted: number;
  readonly dropped: number;
  readonly actions: number;
}

/**
 * Deletes what is over, in short steps, once an hour in each worker. Two workers do not hinder each other: a step passes over what another one has
 * locked. A step that fails ends the round; the next one goes on.
 */
@Injectable()
export class Retention implements OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(
    private readonly store: RetentionStore,
    @Inject(SETTINGS) private readonly settings: RetentionSettings,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'info' | 'warn'>,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.settings.PRELIM_ROLES.includes('worker')) return;
    this.timer = setTimeout(() => void this.rounds(), FIRST_ROUND_MS).unref();
  }

  onModuleDestroy(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
  }

  /** One round: all that is over now. */
  async round(): Promise<Retained> {
    const { HL7_LARGE_BYTES: bytes, HL7_LARGE_KEPT_DAYS: largeDays, HL7_KEPT_DAYS: days } = this.settings;
    let [deleted, dropped] = [0, 0];
    for (const table of TABLES) {
      dropped += await this.steps(RETENTION_LARGE_ROWS_MAX, () =>
        this.store.dropLarge(table, bytes, largeDays),
      );
      for (const type of await this.store.types(table))
        deleted += await this.steps(RETENTION_ROWS_MAX, () =>
          this.store.deleteEnded(table, type, this.daysOf(type)),
        );
    }
    const longest = Math.max(days, ...this.settings.HL7_KEPT_DAYS_BY_TYPE.values());
    const actions = await this.steps(RETENTION_ROWS_MAX, () => this.store.deleteActions(longest));
    return { deleted, dropped, actions };
  }

  /** By MSH-9.1. */
  private daysOf(type: string): number {
    return this.settings.HL7_KEPT_DAYS_BY_TYPE.get(type.split('^')[0] ?? '') ?? this.settings.HL7_KEPT_DAYS;
  }

  /** Repeats a step until it had less to do than it may. */
  private async steps(rowsMax: number, step: () => Promise<number>): Promise<number> {
    let total = 0;
    while (!this.stopped) {
      const done = await step();
      total += done;
      if (done < rowsMax) break;
      await new Promise((resolve) => setTimeout(resolve, RETENTION_PAUSE_MS));
    }
    return total;
  }

  private async rounds(): Promise<void> {
    try {
      const retained = await this.round();
      if (Object.values(retained).some((rows) => rows > 0)) this.log.info(retained, 'HL7 retention');
    } catch {
      this.log.warn({}, 'HL7 retention could not finish its round; it goes on in the next one');
    }
    if (!this.stopped) this.timer = setTimeout(() => void this.rounds(), RETENTION_MS).unref();
  }
}

const TABLES: readonly LogTable[] = ['hl7_inbound', 'hl7_outbound'];
