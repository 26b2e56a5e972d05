import { useRef } from 'preact/hooks';

export type LiveState = 'connecting' | 'live' | 'broken';

interface LiveSignProps {
  readonly state: LiveState;
  /** Time now, ms. */
  readonly nowMs: number;
}

/**
 * A filled dot, "Live" and the time; or a broken ring and since when nothing new has come: an old page must never look like a new one. It
 * stands in its place and moves nothing.
 */
export function LiveSign({ state, nowMs }: LiveSignProps) {
  const lastLiveMs = useRef<number | null>(null);
  if (state === 'live') lastLiveMs.current = nowMs;
  const last = lastLiveMs.current;
  return (
    <p class={`live live-${state}`} role="status">
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        {state === 'live' ? (
          <circle cx="8" cy="8" r="6" fill="currentColor" />
        ) : (
          <circle
            cx="8"
            cy="8"
            r="6"
            fill="none"
            stroke="currentColor"
            stroke-width="3"
            stroke-dasharray="6 4"
          />
        )}
      </svg>
      {state === 'connecting' && 'Connecting'}
      {state === 'live' && (
        <>
          Live <span aria-hidden="true">{sayMinute(nowMs)}</span>
        </>
      )}
      {state === 'broken' && (last === null ? 'Not connected' : `Not live since ${sayMinute(last)}`)}
    </p>
  );
}

function sayMinute(ms: number): string {
  const date = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}
