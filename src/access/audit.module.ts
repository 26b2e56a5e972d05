import {
  type BeforeApplicationShutdown,
  Inject,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { readTlsFiles } from '../config/read-tls-files.ts';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { OperationRegistry } from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { systemClock } from '../kernel/clock.ts';
import { LOGGER } from '../kernel/log.ts';
import { auditChanges } from './audit-changes.ts';
import { serveAuditEvents } from './audit-events.ts';
import { auditKeyIn, HEAD_INTERVAL_MS, signHead } from './audit-heads.ts';
import { AuditTrail } from './audit-trail.ts';
import { SyslogExport } from './export-syslog.ts';

/** The audit of this process. Begins before anything is served or worked on; `AUDIT=off` leaves it out. */
@Module({ imports: [FhirModule] })
export class AuditModule implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  private trail: AuditTrail | null = null;
  private syslog: SyslogExport | null = null;
  private heads: NodeJS.Timeout | null = null;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(ResourceStore) private readonly store: ResourceStore,
    @Inject(OperationRegistry) private readonly operations: OperationRegistry,
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    auditChanges(this.store, this.database);
    serveAuditEvents(this.operations, this.database, this.store.base);
    if (this.settings.AUDIT === 'off') {
      this.log.warn({ setting: 'AUDIT' }, 'NOTHING IS AUDITED: AUDIT is off');
      return;
    }
    this.trail = await AuditTrail.start(this.database, systemClock, this.log);
    this.database.audit = this.trail;
    await this.signHead();
    this.startSyslog();
    this.heads = setInterval(() => {
      this.signHead().catch((error: unknown) =>
        this.log.error({ code: (error as { code?: unknown }).code }, 'no head of the audit could be signed'),
      );
    }, HEAD_INTERVAL_MS).unref();
  }

  private startSyslog(): void {
    const { AUDIT_SYSLOG_URL: url, AUDIT_SYSLOG_FORMAT: format } = this.settings;
    if (!url) return;
    const { AUDIT_SYSLOG_TLS_CA, AUDIT_SYSLOG_TLS_CERT, AUDIT_SYSLOG_TLS_KEY } = this.settings;
    const tls = readTlsFiles({ AUDIT_SYSLOG_TLS_CA, AUDIT_SYSLOG_TLS_CERT, AUDIT_SYSLOG_TLS_KEY }) ?? {};
    // 6514: the port that RFC 5425 4.1 gives syslog over TLS.
    const target = {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 6_514),
      tls,
      format,
    };
    this.syslog = new SyslogExport(this.database, target, this.log);
    this.syslog.start();
  }

  /** How far the chains reach goes into the audit itself, and with it to wherever that is exported. */
  private async signHead(): Promise<void> {
    const key = await auditKeyIn(this.settings.PRELIM_DATA);
    const detail = await signHead(this.database, key, systemClock);
    await this.trail?.record({ kind: 'chain', interaction: 'head', action: 'E', outcome: 0, detail });
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.heads) clearInterval(this.heads);
    await this.trail?.sayStop();
  }

  /** What others still finish belongs to the chain, so it counts as alive to the end. */
  async onApplicationShutdown(): Promise<void> {
    await this.syslog?.stop();
    await this.trail?.release();
  }
}
