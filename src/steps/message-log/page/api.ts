import { askServer, outcomeOf, refuseSignedOut } from '../../../browser/ask-server.ts';
import type { TabSession } from '../../../browser/tab-session.ts';
import type {
  Alert,
  LanesView,
  MessageTree,
  ShownAction,
  ShownDeadGroup,
  ShownMessage,
  ShownWhole,
} from '../shown.ts';

export type { Alert, LanesView, MessageTree, ShownAction, ShownMessage, ShownWhole };

/** The server said no, and why. */
export class Refused extends Error {
  constructor(
    message: string,
    /** Of `docs/errors.md`; null where the server gave none. */
    readonly code: string | null,
  ) {
    super(message);
  }
}

/** What went wrong with a look at the server or a question to it, in words. */
export const sayFault = (error: unknown): string =>
  error instanceof TypeError ? 'The server does not answer.' : (error as Error).message;

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
  readonly goOnFrom: string | null;
  readonly token: string;
}
export interface BulkDone {
  readonly done: number;
  readonly skipped: Readonly<Record<string, number>>;
}

/** What is asked of the server, as the one who is signed in. Throws SignedOut, Refused, or what fetch throws. */
export class Api {
  constructor(private readonly session: TabSession) {}

  lanes(signal?: AbortSignal): Promise<LanesView> {
    return this.ask('lanes', signal);
  }

  async alerts(signal?: AbortSignal): Promise<readonly Alert[]> {
    const response = await askServer(this.session, '../hl7/alerts', signal ? { signal } : {});
    // Every view asks for them: who may not see them is in the wrong place, and hears it.
    await refuseSignedOut(response);
    return (await answerOf<{ alerts: readonly Alert[] }>(response)).alerts;
  }

  search(filter: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Found> {
    const given = Object.entries(filter).filter(([, value]) => value !== '');
    return this.ask(`messages?${new URLSearchParams(given)}`, signal);
  }

  /** `tree`: with the first part of the message itself. */
  message(
    direction: string,
    id: string,
    asked: { readonly unmask: boolean; readonly tree: boolean },
    signal?: AbortSignal,
  ): Promise<ShownWhole> {
    const search = { ...(asked.unmask ? { unmask: 'true' } : {}), ...(asked.tree ? {} : { tree: 'none' }) };
    return this.ask(`messages/${direction}/${id}?${new URLSearchParams(search)}`, signal);
  }

  /** Another part of a message: `from` is the `next` of the part before. */
  async part(
    { direction, id, masked }: Pick<ShownWhole, 'direction' | 'id' | 'masked'>,
    from: string,
    signal?: AbortSignal,
  ): Promise<MessageTree> {
    const search = new URLSearchParams({ from, ...(masked ? {} : { unmask: 'true' }) });
    return (await this.ask<{ tree: MessageTree }>(`messages/${direction}/${id}/tree?${search}`, signal)).tree;
  }

  /** The bytes of a message, as they came or went. The server logs it. */
  async raw(direction: string, id: string): Promise<Blob> {
    const response = await askServer(this.session, `../hl7/messages/${direction}/${id}/raw`);
    if (!response.ok) throw await refusalOf(response);
    return response.blob();
  }

  dead(signal?: AbortSignal): Promise<DeadGroups> {
    return this.ask('dead', signal);
  }

  /** Newest first; `before` is the id of the last one seen, '' for the newest. */
  async actions(before: string, signal?: AbortSignal): Promise<readonly ShownAction[]> {
    const path = before === '' ? 'actions' : `actions?before=${before}`;
    return (await this.ask<{ actions: readonly ShownAction[] }>(path, signal)).actions;
  }

  act<T = unknown>(path: string, body: object): Promise<T> {
    return this.send<T>(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  private ask<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.send<T>(path, signal ? { signal } : {});
  }

  private async send<T>(path: string, init: RequestInit): Promise<T> {
    return answerOf<T>(await askServer(this.session, `../hl7/${path}`, init));
  }
}

async function answerOf<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  throw await refusalOf(response);
}

async function refusalOf(response: Response): Promise<Refused> {
  const { text, code } = await outcomeOf(response);
  return new Refused(text ?? `The server answered ${response.status}.`, code);
}
