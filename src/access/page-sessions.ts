import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Failure } from '../kernel/errors.ts';
import { AccessTokens, PERSON_TOKEN_LIFETIME_S } from './access-tokens.ts';
import type { Grant } from './grant.ts';
import { digestOf, newSecret } from './oauth/digest.ts';
import type { Family } from './oauth/grants.store.ts';
import { Revocations } from './oauth/revocations.ts';
import { clearPagesCookie, readPagesCookie, setPagesCookie } from './people/cookies.ts';
import { type PageHalves, PageSessionStore } from './people/page-session.store.ts';

/** What a tab of our pages sends with each request: which of the browser's sessions it means. No other site can: a header of one's own needs a preflight. */
export const TAB_HEADER = 'x-prelim-tab';
/** Sessions remembered, so that the database is asked once and not once per request. */
const REMEMBERED_MAX = 10_000;
/** Both halves are of this form; anything else is not looked for. */
const HALF = /^[A-Za-z0-9_-]{43}$/;

interface Remembered {
  readonly token: string;
  readonly endsAtS: number;
}

/**
 * The browser pages' own backend (OAuth 2.0 for Browser-Based Apps, "Backend For Frontend"): the code is traded here, the tokens stay here, and the page
 * has a cookie that no script reads.
 */
@Injectable()
export class PageSessions {
  private readonly remembered = new Map<string, Remembered>();

  constructor(
    @Inject(PageSessionStore) private readonly store: PageSessionStore,
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Signs a tab of this browser in. Gives the tab's half. */
  async open(request: FastifyRequest, reply: FastifyReply, family: Family): Promise<string> {
    const known = readPagesCookie(request, this.settings);
    const browser = known !== null && HALF.test(known) ? known : newSecret();
    const tab = await this.store.open(browser, family);
    setPagesCookie(reply, this.settings, browser);
    return tab;
  }

  /** Whose request it is; null: it comes from no tab of ours, or brings its own token. @throws Failure `auth.invalid` */
  grantOf(request: FastifyRequest): Promise<Grant> | null {
    const tab = request.headers[TAB_HEADER];
    if (tab === undefined || request.headers.authorization !== undefined) return null;
    const browser = readPagesCookie(request, this.settings);
    if (browser === null || typeof tab !== 'string' || !HALF.test(tab) || !HALF.test(browser))
      return Promise.reject(over());
    return this.verify({ browser, tab });
  }

  /** Signs every tab of this browser out. */
  async close(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const browser = readPagesCookie(request, this.settings);
    if (browser === null) return;
    for (const family of await this.store.closeAll(browser)) this.revocations.heardOfFamily(family);
    clearPagesCookie(reply, this.settings);
  }

  private async verify(halves: PageHalves): Promise<Grant> {
    const name = digestOf(`${halves.browser} ${halves.tab}`);
    const known = this.remembered.get(name);
    if (known && known.endsAtS > Date.now() / 1_000)
      try {
        return await this.tokens.verify(known.token);
      } catch {
        // Signed out elsewhere, or our keys are others now: the database knows.
        this.remembered.delete(name);
      }
    const family = await this.store.find(halves);
    if (!family) throw over();
    const { token, endsAtS } = await this.issue(family);
    const grant = await this.tokens.verify(token);
    if (this.remembered.size >= REMEMBERED_MAX) this.remembered.clear();
    this.remembered.set(name, { token, endsAtS });
    return grant;
  }

  private issue({ id, approval, endsAtS }: Family) {
    const leftS = Math.max(1, endsAtS - Math.floor(Date.now() / 1_000));
    return this.tokens.issueFor(
      { ...approval.content, family: id },
      Math.min(PERSON_TOKEN_LIFETIME_S, leftS),
    );
  }
}

const over = () => new Failure('auth.invalid', 'You are signed out. Sign in again on the page.');
