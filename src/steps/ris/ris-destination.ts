import { readFileSync } from 'node:fs';
import { readTlsFiles, type TlsFiles } from '../../config/read-tls-files.ts';
import type { Settings } from '../../config/settings.ts';
import type { Acknowledgement } from '../../hl7/ack.ts';
import { MllpClient } from '../../hl7/mllp-client.ts';
import { Failure } from '../../kernel/errors.ts';
import { type RisProfile, readRisProfile } from './ris-profile.ts';

export type RisSettings = Pick<
  Settings,
  | 'RIS_URL'
  | 'RIS_ACK_TIMEOUT_MS'
  | 'RIS_TLS_CA'
  | 'RIS_TLS_CERT'
  | 'RIS_TLS_KEY'
  | 'RIS_PROFILE'
  | 'HL7_SENDING_APPLICATION'
  | 'HL7_SENDING_FACILITY'
  | 'HL7_RECEIVING_APPLICATION'
  | 'HL7_RECEIVING_FACILITY'
>;

/**
 * The one RIS that results go to: its address, its profile, and its connections. Each connection has one message in flight; which
 * messages may go beside each other is decided by their lanes, not here.
 */
export class RisDestination {
  readonly profile: RisProfile;
  private readonly tls: TlsFiles | null;
  private readonly clients: MllpClient[] = [];
  private readonly free: MllpClient[] = [];
  private readonly waiting: ((client: MllpClient) => void)[] = [];

  /** Throws `config.invalid` or `ris.profile`, which name every fault of the TLS files and of the profile. */
  constructor(private readonly settings: RisSettings) {
    this.tls = destinationTls(settings);
    this.profile = readRisProfile({
      sendingApplication: settings.HL7_SENDING_APPLICATION,
      sendingFacility: settings.HL7_SENDING_FACILITY,
      receivingApplication: settings.HL7_RECEIVING_APPLICATION,
      receivingFacility: settings.HL7_RECEIVING_FACILITY,
      ...profileFile(settings.RIS_PROFILE),
    });
  }

  /** Name of the destination in stored messages, or null when none is configured: `host:port`. */
  get name(): string | null {
    return this.settings.RIS_URL?.host ?? null;
  }

  /** Sends over the next free connection; see `MllpClient.send`. */
  async send(bytes: Buffer, controlId: string): Promise<Acknowledgement> {
    const client = await this.take();
    try {
      return await client.send(bytes, controlId);
    } finally {
      const next = this.waiting.shift();
      if (next) next(client);
      else this.free.push(client);
    }
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  private take(): Promise<MllpClient> | MllpClient {
    const free = this.free.pop();
    if (free) return free;
    if (this.clients.length < this.profile.connectionsMax && this.settings.RIS_URL) {
      const { RIS_URL: url, RIS_ACK_TIMEOUT_MS: ackTimeoutMs } = this.settings;
      const client = new MllpClient(url, {
        ackTimeoutMs,
        minGapMs: this.profile.minGapMs,
        ...(this.tls ? { tls: this.tls } : {}),
      });
      this.clients.push(client);
      return client;
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

function destinationTls({ RIS_URL, RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY }: RisSettings): TlsFiles | null {
  const files = readTlsFiles({ RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY });
  if (files !== null && RIS_URL?.protocol !== 'mllps:') {
    const text = 'must begin with mllps:// when RIS_TLS_CA, RIS_TLS_CERT or RIS_TLS_KEY is given';
    throw new Failure('config.invalid', `RIS_URL ${text}; else results would travel in the clear.`, {
      issues: [{ at: 'RIS_URL', text }],
    });
  }
  return files;
}

/** What the file of `RIS_PROFILE` says, which goes before the settings of the same meaning; nothing when no file is named. */
function profileFile(path: string): Record<string, unknown> {
  if (path === '') return {};
  const profile = parsed(path);
  if (typeof profile === 'object' && profile !== null && !Array.isArray(profile)) return { ...profile };
  throw new Failure('config.invalid', 'RIS_PROFILE must name a file with one JSON object.', {
    issues: [{ at: 'RIS_PROFILE', text: 'must name a file with one JSON object' }],
  });
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
