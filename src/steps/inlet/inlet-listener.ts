import type { TlsOptions } from 'node:tls';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { readTlsFiles, type TlsFiles } from '../../config/read-tls-files.ts';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { MllpServer, UNANSWERED_BYTES_MAX } from '../../hl7/mllp-server.ts';
import { TlsKeeper } from '../../hl7/tls-keeper.ts';
import { Failure } from '../../kernel/errors.ts';
import { LOGGER } from '../../kernel/log.ts';
import { DoorEvents } from './door-events.ts';
import { MessageInlet } from './message-inlet.ts';

type ListenerSettings = Pick<
  Settings,
  | 'HL7_HOST'
  | 'HL7_PORT'
  | 'HL7_TLS_CERT'
  | 'HL7_TLS_KEY'
  | 'HL7_TLS_CA'
  | 'HL7_TLS_NAMES'
  | 'HL7_CONNECTIONS_MAX'
  | 'HL7_CONNECTIONS_PER_ADDRESS_MAX'
  | 'HL7_FRAME_BYTES_MAX'
  | 'HL7_FRAME_SILENCE_MS'
  | 'HL7_IDLE_MS'
  | 'PRELIM_ROLES'
>;

/** The MLLP door, in processes with the role `listener`. */
@Injectable()
export class InletListener implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private server: MllpServer | null = null;
  private tls: TlsKeeper | null = null;
  private boundPort = 0;

  constructor(
    private readonly inlet: MessageInlet,
    @Inject(SETTINGS) private readonly settings: ListenerSettings,
    @Inject(LOGGER) private readonly log: Logger,
    private readonly events: DoorEvents,
  ) {}

  /** The port it listens on; 0 where it does not. */
  get port(): number {
    return this.boundPort;
  }

  /** For metrics; null where it does not listen. `certificateDays`: until the first certificate runs out; null without TLS. */
  get state(): { connections: number; unansweredBytes: number; certificateDays: number | null } | null {
    if (this.server === null) return null;
    const { connectionCount: connections, unansweredBytes } = this.server;
    return { connections, unansweredBytes, certificateDays: this.tls?.daysLeft ?? null };
  }

  async onApplicationBootstrap(): Promise<void> {
    const { HL7_HOST: host, HL7_PORT: port, PRELIM_ROLES: roles } = this.settings;
    if (!roles.includes('listener')) return;
    const files = readFiles(this.settings);
    const server = new MllpServer({
      host,
      port,
      ...limitsOf(this.settings),
      ...(files ? { tls: serverTls(files), tlsNames: namesOf(this.settings) } : {}),
      onMessage: (message, peer) => this.inlet.take(message, peer),
      onEvent: (event) => this.events.hear(event),
    });
    this.boundPort = await server.listen().catch((cause: unknown) => {
      throw new Failure('hl7.listener', 'HL7_HOST and HL7_PORT cannot be listened on; is the port taken?', {
        cause,
      });
    });
    this.server = server;
    if (!files) return;
    this.tls = new TlsKeeper(
      tlsSettings(this.settings),
      files,
      (renewed) => server.reloadTls(serverTls(renewed)),
      this.log,
    );
    this.tls.start();
  }

  /** Before the database goes: an answer under way needs it. */
  async beforeApplicationShutdown(): Promise<void> {
    this.tls?.stop();
    await this.server?.close();
    this.server = null;
    this.boundPort = 0;
  }
}

/** Four of the largest frames may be held unanswered, and never less than by default. */
const limitsOf = (settings: ListenerSettings) => ({
  connectionsMax: settings.HL7_CONNECTIONS_MAX,
  connectionsPerAddressMax: settings.HL7_CONNECTIONS_PER_ADDRESS_MAX,
  frameBytesMax: settings.HL7_FRAME_BYTES_MAX,
  frameSilenceMs: settings.HL7_FRAME_SILENCE_MS,
  idleMs: settings.HL7_IDLE_MS,
  unansweredBytesMax: Math.max(UNANSWERED_BYTES_MAX, 4 * settings.HL7_FRAME_BYTES_MAX),
});

const namesOf = ({ HL7_TLS_NAMES }: ListenerSettings): string[] =>
  HL7_TLS_NAMES.split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');

const tlsSettings = ({ HL7_TLS_CERT, HL7_TLS_KEY, HL7_TLS_CA }: ListenerSettings) => ({
  HL7_TLS_CERT,
  HL7_TLS_KEY,
  HL7_TLS_CA,
});

function readFiles(settings: ListenerSettings): TlsFiles | null {
  const files = readTlsFiles(tlsSettings(settings));
  if (namesOf(settings).length > 0 && !files?.ca) {
    throw new Failure(
      'config.invalid',
      'HL7_TLS_NAMES is given without HL7_TLS_CA: no certificate would be asked for. Give both.',
      { issues: [{ at: 'HL7_TLS_CA', text: 'must be given too' }] },
    );
  }
  if (files !== null && files.cert === undefined) {
    throw new Failure(
      'config.invalid',
      'HL7_TLS_CA is given without HL7_TLS_CERT and HL7_TLS_KEY; give all three.',
      {
        issues: [{ at: 'HL7_TLS_CERT', text: 'must be given too' }],
      },
    );
  }
  return files;
}

/** With authorities named, only senders whose certificate one of them has signed get in. */
function serverTls(files: TlsFiles): TlsOptions {
  return { ...files, ...(files.ca ? { requestCert: true, rejectUnauthorized: true } : {}) };
}
