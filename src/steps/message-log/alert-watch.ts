import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { LOGGER } from '../../kernel/log.ts';
import { OutboundActionsHost, type OutboundDestination } from '../../queue/outbound-actions.ts';
import { AlertStore, type ErrorShare } from './alert.store.ts';
import { findAlerts, isWatched } from './find-alerts.ts';
import { LaneStore } from './lane.store.ts';
import type { Alert } from './shown.ts';

export type AlertSettings = Pick<
  Settings,
  | 'HL7_ALERT_UNSENT_S'
  | 'HL7_ALERT_SILENT'
  | 'HL7_ALERT_HOURS'
  | 'HL7_ALERT_ERROR_PERCENT'
  | 'HL7_ALERT_CERTIFICATE_DAYS'
  | 'SITE_TIME_ZONE'
  | 'PRELIM_ROLES'
>;

/** A certificate in use and the days until it ends. */
export interface CertificateInUse {
  readonly name: string;
  readonly days: number;
}

interface ErrorShares {
  readonly inbound: ErrorShare;
  readonly outbound: ErrorShare;
}

export interface AlertState {
  readonly alerts: readonly Alert[];
  readonly oldestUnsentSeconds: number;
  readonly oldestUnfiledSeconds: number;
}

/** How often a worker looks by itself. */
export const WATCH_MS = 30_000;
/** Several who ask at once, and a page that asks every few seconds, cost one look. */
export const ALERTS_FRESH_MS = 5_000;

/**
 * Looks for what is wrong on the HL7 side, and logs each alert once when it begins and once when it is over, by the code of its kind.
 */
@Injectable()
export class AlertWatch implements OnApplicationBootstrap, OnModuleDestroy {
  private known: readonly Alert[] = [];
  private looked: { readonly at: number; readonly state: Promise<AlertState> } | null = null;
  private shares: { readonly at: number; readonly counted: Promise<ErrorShares> } | null = null;
  private timer: NodeJS.Timeout | null = null;
  private certificates: () => readonly CertificateInUse[] = () => [];

  constructor(
    private readonly store: AlertStore,
    private readonly lanes: LaneStore,
    private readonly outbound: OutboundActionsHost,
    @Inject(SETTINGS) private readonly settings: AlertSettings,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  /** Tells of certificates that are known elsewhere: that of the listener. */
  useCertificates(certificates: () => readonly CertificateInUse[]): void {
    this.certificates = certificates;
  }

  onApplicationBootstrap(): void {
    if (!this.settings.PRELIM_ROLES.includes('worker')) return;
    this.timer = setInterval(() => void this.watch(), WATCH_MS).unref();
  }

  onModuleDestroy(): void {
    if (this.timer) clearInterval(this.timer);
  }

  destinations(): readonly OutboundDestination[] {
    return this.outbound.actions.destinations();
  }

  /** What is wrong now, a few seconds old at most. */
  async now(): Promise<readonly Alert[]> {
    return (await this.state()).alerts;
  }

  /** What is wrong now and the two ages that are watched, a few seconds old at most. */
  state(): Promise<AlertState> {
    if (this.looked !== null && performance.now() - this.looked.at < ALERTS_FRESH_MS)
      return this.looked.state;
    const state = this.look();
    this.looked = { at: performance.now(), state };
    state.catch(() => {
      this.looked = null;
    });
    return state;
  }

  /** One look, and a line in the log for each change. Never throws. */
  async watch(): Promise<void> {
    this.shares = null;
    const state = await this.look().catch(() => null);
    if (state === null) return;
    const { alerts } = state;
    const same = (a: Alert) => (b: Alert) => a.kind === b.kind && a.about === b.about;
    for (const one of alerts)
      if (!this.known.some(same(one)))
        this.log.warn({ alert: one.kind, about: one.about }, `HL7 alert: ${one.text}`);
    for (const one of this.known)
      if (!alerts.some(same(one))) this.log.warn({ alert: one.kind, about: one.about }, 'HL7 alert is over');
    this.known = alerts;
  }

  private async look(): Promise<AlertState> {
    const queues = this.destinations().map(({ queue }) => queue);
    const [destinations, unconfigured, filing, holds, silent, deadOut, { inbound, outbound }] =
      await Promise.all([
        this.lanes.destinations(),
        this.store.unconfigured(queues),
        this.lanes.filing(),
        this.lanes.holds(),
        this.silent(),
        this.store.deadOut(),
        this.errorShares(),
      ]);
    const heldDestinations = holds.filter(({ lane }) => lane === null).map(({ destination }) => destination);
    const certificates = [...this.certificates(), ...this.clientCertificates()];
    const alerts = findAlerts(
      {
        destinations,
        unconfigured,
        heldDestinations,
        filing,
        silent,
        deadOut,
        inbound,
        outbound,
        certificates,
      },
      this.settings,
    );
    const oldestUnsentSeconds = Math.max(0, ...destinations.map((one) => one.oldest_s));
    return { alerts, oldestUnsentSeconds, oldestUnfiledSeconds: filing.oldest_s };
  }

  /** They count all messages of a quarter of an hour, and change slowly: counted once in half a minute, whoever asks. */
  private errorShares(): Promise<ErrorShares> {
    if (this.shares !== null && performance.now() - this.shares.at < WATCH_MS) return this.shares.counted;
    const counted = Promise.all([this.store.inbound(), this.store.outbound()]).then(
      ([inbound, outbound]) => ({
        inbound,
        outbound,
      }),
    );
    this.shares = { at: performance.now(), counted };
    counted.catch(() => {
      this.shares = null;
    });
    return counted;
  }

  private async silent(): Promise<(readonly [string, number])[]> {
    const { HL7_ALERT_SILENT: watched, HL7_ALERT_HOURS: hours, SITE_TIME_ZONE: zone } = this.settings;
    if (watched.size === 0 || !isWatched(hours, zone, new Date())) return [];
    const names = new Set(this.destinations().map(({ name }) => name));
    const looks = [...watched].map(async ([name, minutes]) => {
      const heard = names.has(name)
        ? await this.store.takenBy(name, minutes)
        : await this.store.heardFrom(name, minutes);
      return heard ? [] : [[name, minutes] as const];
    });
    return (await Promise.all(looks)).flat();
  }

  private clientCertificates(): CertificateInUse[] {
    return this.destinations().flatMap(({ name, certificateEndsAt }) =>
      certificateEndsAt === null ? [] : [{ name, days: (certificateEndsAt.getTime() - Date.now()) / DAY_MS }],
    );
  }
}

const DAY_MS = 86_400_000;
