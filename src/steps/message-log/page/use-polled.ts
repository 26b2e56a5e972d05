import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';
import { sayFault } from './api.ts';

export interface Polled<T> {
  /** Null before the first answer. */
  readonly data: T | null;
  /** Why the last look failed; null when it did not. */
  readonly fault: string | null;
  /** Looks at once. */
  readonly refresh: () => void;
}

/** How often a view looks again. A lane that blocks must be seen in seconds, not at once. */
export const POLL_MS = 3_000;
/** A server that has not answered by then is said to be away: searches end after 10 s there. Else a line that is cut would look live for minutes. */
export const LOOK_MS_MAX = 20_000;
/** The pause is so many times as long as the look took: a message of megabytes is read less often. */
const PAUSE_TIMES = 4;

/**
 * Looks now and then again and again while the page is seen. `key` names what is looked at: another one forgets the data. A pause of 0 looks once.
 */
export function usePolled<T>(
  key: string,
  look: (signal: AbortSignal) => Promise<T>,
  onSignedOut: (why: SignedOut) => void,
  pauseMs = POLL_MS,
): Polled<T> {
  const [state, setState] = useState<{ key: string; data: T | null; fault: string | null }>({
    key,
    data: null,
    fault: null,
  });
  const [round, setRound] = useState(0);
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const once = async () => {
      const began = performance.now();
      let wait = pauseMs;
      const patience = new AbortController();
      const late = setTimeout(() => patience.abort(new TypeError('no answer')), LOOK_MS_MAX);
      try {
        if (!document.hidden) {
          const data = await latest.current(AbortSignal.any([end.signal, patience.signal]));
          if (!end.signal.aborted) setState({ key, data, fault: null });
          wait = Math.max(pauseMs, PAUSE_TIMES * (performance.now() - began));
        }
      } catch (error) {
        if (end.signal.aborted) return;
        if (error instanceof SignedOut) return onSignedOut(error);
        const fault = sayFault(error);
        setState((before) => ({ key, data: before.key === key ? before.data : null, fault }));
      } finally {
        clearTimeout(late);
      }
      if (pauseMs > 0 && !end.signal.aborted) timer = setTimeout(once, wait);
    };
    void once();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [key, round, pauseMs]);
  const refresh = useCallback(() => setRound((n) => n + 1), []);
  const current = state.key === key;
  return { data: current ? state.data : null, fault: current ? state.fault : null, refresh };
}
