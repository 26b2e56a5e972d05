import { askServer, SignedOut } from '../../../browser/ask-server.ts';
import type { LiveState } from '../../../browser/live-sign.tsx';
import type { TabSession } from '../../../browser/tab-session.ts';
import type { WorklistRow } from '../worklist-row.ts';
import { askRows, type Rows } from './api.ts';
import { eventStreamParser } from './parse-event-stream.ts';

export interface LiveListener {
  /** All rows, at the start and after each reconnection. */
  rows(rows: Rows): void;
  /** One row changed. */
  row(row: WorklistRow): void;
  /** One row is no longer on the list. */
  gone(id: string): void;
  /** The time of the server. */
  time(at: string): void;
  state(state: LiveState): void;
  signedOut(why: SignedOut): void;
}

/** The server sends a beat every 15 s: after this long without a byte the connection is dead, whatever the network says. */
const SILENCE_MS_MAX = 40_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 10_000;

/**
 * Keeps the rows live: opens the event stream (by fetch, because an EventSource cannot send a token), then reads all rows,
 * so that nothing falls between the two, then applies event after event. When the stream ends it starts again, forever,
 * until `signal` aborts or the reader is signed out.
 */
export async function followRows(
  session: TabSession,
  listener: LiveListener,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await followOnce(session, listener, signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SignedOut) return listener.signedOut(error);
      failures += 1;
    }
    if (signal.aborted) return;
    listener.state('broken');
    // The random part keeps a room full of worklists from coming back in the same instant.
    const wait =
      Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 6)) * (0.5 + Math.random() / 2);
    await pause(failures === 0 ? RETRY_MS_MIN / 5 : wait, signal);
  }
}

async function followOnce(
  session: TabSession,
  listener: LiveListener,
  signal: AbortSignal,
  open: () => void,
): Promise<void> {
  const connection = new AbortController();
  const stop = () => connection.abort();
  signal.addEventListener('abort', stop);
  const watchdog = silenceWatch(stop);
  try {
    const response = await askServer(session, 'api/events', { signal: connection.signal });
    watchdog.heard();
    // The rows are read even when the server has no place for one more listener: an old list is worse than a slow one.
    listener.rows(await askRows(session, connection.signal));
    if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`);
    listener.state('live');
    open();
    await readEvents(response.body, listener, watchdog.heard);
  } finally {
    watchdog.end();
    signal.removeEventListener('abort', stop);
    connection.abort();
  }
}

async function readEvents(
  body: ReadableStream<Uint8Array>,
  listener: LiveListener,
  heard: () => void,
): Promise<void> {
  const parse = eventStreamParser();
  const reader = body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    for (const { event, data } of parse(value)) apply(event, data, listener);
  }
}

function apply(event: string, data: string, listener: LiveListener): void {
  if (event === 'row') listener.row(JSON.parse(data) as WorklistRow);
  if (event === 'gone') listener.gone((JSON.parse(data) as { id: string }).id);
  if (event === 'beat') listener.time((JSON.parse(data) as { at: string }).at);
}

function silenceWatch(then: () => void): { heard(): void; end(): void } {
  let timer = setTimeout(then, SILENCE_MS_MAX);
  return {
    heard() {
      clearTimeout(timer);
      timer = setTimeout(then, SILENCE_MS_MAX);
    },
    end: () => clearTimeout(timer),
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
