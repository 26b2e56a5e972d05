import type { Alert, LanesView, ShownAction, ShownDeadGroup, ShownMessage, ShownWhole } from '../shown.ts';

export type { Alert, LanesView, ShownAction, ShownMessage, ShownWhole };

/** The server no longer (or not at all) accepts the token. */
export class SignedOut extends Error {
  constructor(readonly status: number) {
    super(`answered ${status}`);
  }
}

/** The server said no, and why. */
export class Refused extends Error {}

export interface DeadGroups {
  readonly groups: readonly ShownDeadGroup[];
}
export interface Found {
  readonly messages: readonly ShownMessage[];
  readonly next: string | null;
}
export interface Counted {
  readonly count: number;
  readonly more: boolean;
  readonly token: string;
}
export interface BulkDone {
  readonly done: number;
  readonly skipped: Readonly<Record<string, number>>;
}

/** What is asked of the server, with the token of this tab. */
export class Api {
  constructor(private readonly token: string) {}

  lanes(signal?: AbortSignal): Promise<LanesView> {
    return this.ask('lanes', signal);
  }

  async alerts(signal?: AbortSignal): Promise<readonly Alert[]> {
    return (await this.ask<{ alerts: readonly Alert[] }>('alerts', signal)).alerts;
  }

  search(filter: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Found> {
    const given = Object.entries(filter).filter(([, value]) => value !== '');
    return this.ask(`messages?${new URLSearchParams(given)}`, signal);
  }

  message(direction: string, id: string, unmask: boolean, signal?: AbortSignal): Promise<ShownWhole> {
    return this.ask(`messages/${direction}/${id}${unmask ? '?unmask=true' : ''}`, signal);
  }

  dead(signal?: AbortSignal): Promise<DeadGroups> {
    return this.ask('dead', signal);
  }

  async actions(signal?: AbortSignal): Promise<readonly ShownAction[]> {
    return (await this.ask<{ actions: readonly ShownAction[] }>('actions', signal)).actions;
  }

  act<T = unknown>(path: string, body: object): Promise<T> {
    return this.send<T>(path, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  private ask<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.send<T>(path, {
      headers: { authorization: `Bearer ${this.token}` },
      ...(signal ? { signal } : {}),
    });
  }

  private async send<T>(path: string, init: RequestInit): Promise<T> {
    const response = await fetch(`/hl7/${path}`, {
      ...init,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
    if (response.status === 401) {
      await response.body?.cancel();
      throw new SignedOut(401);
    }
    if (response.ok) return (await response.json()) as T;
    const outcome = (await response.json().catch(() => null)) as {
      issue?: { details?: { text?: string }; diagnostics?: string }[];
    } | null;
    const issue = outcome?.issue?.[0];
    throw new Refused(
      issue?.details?.text ?? issue?.diagnostics ?? `The server answered ${response.status}.`,
    );
  }
}

/** Tries a token: 401 and 403 say what is wrong with it. */
export async function tryToken(token: string): Promise<void> {
  const response = await fetch('/hl7/lanes', {
    headers: { authorization: `Bearer ${token}` },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  await response.body?.cancel();
  if (response.status === 401 || response.status === 403) throw new SignedOut(response.status);
  if (!response.ok) throw new Error(`answered ${response.status}`);
}
