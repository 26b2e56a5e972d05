import { X509Certificate } from 'node:crypto';
import type { TlsFiles } from '../../config/read-tls-files.ts';
import type { Acknowledgement } from '../../hl7/ack.ts';
import { MllpClient } from '../../hl7/mllp-client.ts';
import { risSendQueue } from '../../kernel/handoffs.ts';
import type { OutboundDestination } from '../../queue/outbound-actions.ts';
import type { DestinationFilter } from './destination-file.ts';
import type { ReadProfile, RisProfile } from './profile-settings.ts';
import type { RisProfiles } from './ris-profiles.ts';

export interface DestinationPlace {
  readonly name: string;
  /** False for the one of `RIS_URL`, whose name is its address. */
  readonly isNamed: boolean;
  readonly url: URL;
  readonly ackTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly idleMs: number;
  readonly tls: TlsFiles | null;
  /** Where the TLS files lie, as `readTlsFiles` takes them. */
  readonly tlsPlaces: Readonly<Record<string, string>>;
  readonly filter: DestinationFilter;
  readonly profileName: string;
}

/** Another process may have changed the profile over FHIR: sending looks again after so long. A message is always made with the newest. */
export const PROFILE_KEPT_MS = 2_000;

/**
 * One receiver of results: its address, its profile, and its connections. Each connection has one message in flight; which
 * messages may go beside each other is decided by their lanes, not here.
 */
export class RisDestination {
  readonly name: string;
  readonly isNamed: boolean;
  readonly filter: DestinationFilter;
  private kept: { readonly until: number; readonly profile: ReadProfile } | null = null;
  private tls: TlsFiles | null;
  /** Goes up with each new set of TLS files. */
  private tlsEdition = 0;
  private readonly clients = new Map<MllpClient, string>();
  private readonly free: MllpClient[] = [];
  private readonly waiting: (() => void)[] = [];

  constructor(
    readonly place: DestinationPlace,
    private readonly profiles: RisProfiles,
  ) {
    this.name = place.name;
    this.isNamed = place.isNamed;
    this.filter = place.filter;
    this.tls = place.tls;
  }

  /** As it stands in the record now: what somebody changed over FHIR holds from the next message on. */
  async freshProfile(): Promise<ReadProfile> {
    const profile = await this.profiles.read(this.place.profileName);
    this.kept = { until: performance.now() + PROFILE_KEPT_MS, profile };
    return profile;
  }

  /** As it stood a moment ago. */
  async profile(): Promise<RisProfile> {
    const { kept } = this;
    return (kept !== null && performance.now() < kept.until ? kept.profile : await this.freshProfile())
      .profile;
  }

  /** Sends over the next free connection; see `MllpClient.send`. */
  async send(bytes: Buffer, controlId: string): Promise<Acknowledgement> {
    const client = await this.take(await this.profile());
    try {
      return await client.send(bytes, controlId);
    } finally {
      this.free.push(client);
      this.waiting.shift()?.();
    }
  }

  describe(): OutboundDestination {
    const { name, place } = this;
    const cert = this.tls?.cert;
    return {
      name,
      address: place.url.href.replace(/\/$/, ''),
      profile: place.profileName,
      queue: risSendQueue(this.isNamed ? name : undefined),
      certificateEndsAt: cert === undefined ? null : new Date(new X509Certificate(cert).validTo),
    };
  }

  /** From the next message on; what is on its way is still answered over the connection it went by. */
  renewTls(files: TlsFiles): void {
    this.tls = files;
    this.tlsEdition += 1;
  }

  close(): void {
    for (const client of this.clients.keys()) client.close();
    this.clients.clear();
  }

  /** A connection made under other settings is closed and made anew. */
  private async take(profile: RisProfile): Promise<MllpClient> {
    const options = `${profile.minGapMs} ${profile.ackMode} ${profile.commitIsSuccess} ${this.tlsEdition}`;
    for (;;) {
      const free = this.free.pop();
      // The profile may allow fewer than there are: those too many go, one with each message that ends.
      const isTooMany = this.clients.size > profile.connectionsMax;
      if (free !== undefined && !isTooMany && this.clients.get(free) === options) return free;
      if (free !== undefined) {
        free.close();
        this.clients.delete(free);
        continue;
      }
      if (this.clients.size < profile.connectionsMax) return this.open(profile, options);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  private open(profile: RisProfile, options: string): MllpClient {
    const { tls } = this;
    const { url, ackTimeoutMs, connectTimeoutMs, idleMs } = this.place;
    const client = new MllpClient(url, {
      ackTimeoutMs,
      connectTimeoutMs,
      idleMs,
      minGapMs: profile.minGapMs,
      applicationAck: profile.ackMode === 'enhanced' && !profile.commitIsSuccess,
      ...(tls ? { tls } : {}),
    });
    this.clients.set(client, options);
    return client;
  }
}
