import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AccessTokens } from '../access-tokens.ts';
import { SIGNING_KEY } from '../injection.ts';
import { REVOCATION_LOOK_MS_MAX } from '../revocation-look.ts';
import type { SigningKeys } from '../signing-key.ts';
import { GrantsStore } from './grants.store.ts';
import { SweepStore } from './sweep.store.ts';

/** Each look reaches back this far: a transaction that committed late is not missed. */
const LOOK_BACK_S = 60;
/** What ran out is removed. */
const SWEEP_INTERVAL_MS = 600_000;

/** Ends tokens before their time, here and in the other processes of this database. */
@Injectable()
export class Revocations implements OnApplicationBootstrap, OnApplicationShutdown {
  private timers: NodeJS.Timeout[] = [];

  constructor(
    @Inject(GrantsStore) private readonly grants: GrantsStore,
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(SweepStore) private readonly sweep: SweepStore,
    @Inject(SIGNING_KEY) private readonly keys: SigningKeys,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.look(null);
    // A database that is away is said elsewhere, and lets nobody read; the next look finds what was ended meanwhile.
    const look = () => void this.look(LOOK_BACK_S).catch(() => this.look(null).catch(() => undefined));
    const sweep = () => void this.sweep.sweep().catch(() => undefined);
    this.timers = [
      setInterval(look, REVOCATION_LOOK_MS_MAX).unref(),
      setInterval(sweep, SWEEP_INTERVAL_MS).unref(),
    ];
  }

  onApplicationShutdown(): void {
    for (const timer of this.timers) clearInterval(timer);
  }

  /** Ends everything that came of one approval. */
  async endFamily(id: string): Promise<void> {
    await this.grants.endFamily(id);
    this.tokens.end(id, FAR_S());
  }

  /** Ends everything that came of what a person approved; with `session` what was approved for as long as that one lasts. */
  async endSubject(subject: string, session: string | null = null): Promise<void> {
    for (const id of await this.grants.endFamiliesOf(subject, session)) this.tokens.end(id, FAR_S());
  }

  async endToken(tokenId: string, endsAtS: number): Promise<void> {
    await this.grants.endToken(tokenId, endsAtS);
    this.tokens.end(tokenId, endsAtS);
  }

  /** A family that the store ended by itself, because a code or a refresh token was used twice. */
  heardOfFamily(id: string): void {
    this.tokens.end(id, FAR_S());
  }

  private async look(seconds: number | null): Promise<void> {
    await this.keys.follow();
    for (const { key, ends_s } of await this.grants.ended(seconds)) this.tokens.end(key, Number(ends_s));
  }
}

/** Longer than any access token of a family lives. */
const FAR_S = () => Date.now() / 1_000 + 86_400;
