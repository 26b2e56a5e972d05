import type { TlsOptions } from 'node:tls';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { readTlsFiles } from '../../config/read-tls-files.ts';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { MllpServer } from '../../hl7/mllp-server.ts';
import { Failure } from '../../kernel/errors.ts';
import { LOGGER } from '../../kernel/log.ts';
import { OrderStep } from './order.step.ts';

type ListenerSettings = Pick<
  Settings,
  'HL7_HOST' | 'HL7_PORT' | 'HL7_TLS_CERT' | 'HL7_TLS_KEY' | 'HL7_TLS_CA' | 'PRELIM_ROLES'
>;

/** The MLLP door for orders, in processes with the role `listener`. */
@Injectable()
export class OrderListener implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private server: MllpServer | null = null;
  private boundPort = 0;

  constructor(
    private readonly step: OrderStep,
    @Inject(SETTINGS) private readonly settings: ListenerSettings,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** The port it listens on; 0 where it does not. */
  get port(): number {
    return this.boundPort;
  }

  async onApplicationBootstrap(): Promise<void> {
    const { HL7_HOST: host, HL7_PORT: port, PRELIM_ROLES: roles } = this.settings;
    if (!roles.includes('listener')) return;
    const tls = serverTls(this.settings);
    this.server = new MllpServer({
      host,
      port,
      ...(tls ? { tls } : {}),
      onMessage: (message) => this.step.take(message),
      onEvent: (event) => this.log.warn({ event: event.kind, peer: event.peer, bytes: event.bytes }, 'MLLP'),
    });
    this.boundPort = await this.server.listen().catch((cause: unknown) => {
      throw new Failure('order.listener', 'HL7_HOST and HL7_PORT cannot be listened on; is the port taken?', {
        cause,
      });
    });
  }

  /** Before the database goes: an answer under way needs it. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.server?.close();
    this.boundPort = 0;
  }
}

/** With authorities named, only senders whose certificate one of them has signed get in. */
function serverTls({ HL7_TLS_CERT, HL7_TLS_KEY, HL7_TLS_CA }: ListenerSettings): TlsOptions | null {
  const files = readTlsFiles({ HL7_TLS_CERT, HL7_TLS_KEY, HL7_TLS_CA });
  if (files !== null && files.cert === undefined) {
    throw new Failure(
      'config.invalid',
      'HL7_TLS_CA is given without HL7_TLS_CERT and HL7_TLS_KEY; give all three.',
      {
        issues: [{ at: 'HL7_TLS_CERT', text: 'must be given too' }],
      },
    );
  }
  return files && { ...files, ...(files.ca ? { requestCert: true, rejectUnauthorized: true } : {}) };
}
