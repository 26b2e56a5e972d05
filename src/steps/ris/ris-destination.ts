import type { Settings } from '../../config/settings.ts';
import type { Acknowledgement } from '../../hl7/ack.ts';
import { MllpClient } from '../../hl7/mllp-client.ts';
import { DEFAULT_RIS_PROFILE, type RisProfile, readRisProfile } from './ris-profile.ts';

export type RisSettings = Pick<
  Settings,
  | 'RIS_URL'
  | 'RIS_ACK_TIMEOUT_MS'
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
  private readonly clients: MllpClient[] = [];
  private readonly free: MllpClient[] = [];
  private readonly waiting: ((client: MllpClient) => void)[] = [];

  constructor(private readonly settings: RisSettings) {
    this.profile = readRisProfile({
      ...DEFAULT_RIS_PROFILE,
      sendingApplication: settings.HL7_SENDING_APPLICATION,
      sendingFacility: settings.HL7_SENDING_FACILITY,
      receivingApplication: settings.HL7_RECEIVING_APPLICATION,
      receivingFacility: settings.HL7_RECEIVING_FACILITY,
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
      const client = new MllpClient(url, { ackTimeoutMs, minGapMs: this.profile.minGapMs });
      this.clients.push(client);
      return client;
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
