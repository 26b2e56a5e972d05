import type { Urgency, UrgencyLevel } from '../urgency.ts';

/** The level as a shape and a word; the one accent colour only repeats them. */
export function UrgencyMark({ urgency }: { urgency: Urgency }) {
  return (
    <span class={`mark mark-${urgency.level}`}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" focusable="false">
        <Shape level={urgency.level} />
      </svg>
      {urgency.word}
    </span>
  );
}

/** Octagon with a bar, triangle, diamond, ring, tick: told apart without colour and from a distance. */
function Shape({ level }: { level: UrgencyLevel }) {
  switch (level) {
    case 'critical':
      return (
        <>
          <path fill="currentColor" d="M6.3 1h7.4L19 6.3v7.4L13.7 19H6.3L1 13.7V6.3z" />
          <path class="mark-cut" d="M8.7 4.5h2.6l-.4 7H9.1zM8.8 13.2h2.4v2.4H8.8z" />
        </>
      );
    case 'high':
      return <path fill="currentColor" d="M10 2l9 16H1z" />;
    case 'raised':
      return <path fill="none" stroke="currentColor" stroke-width="2.4" d="M10 2l8 8-8 8-8-8z" />;
    case 'routine':
      return <circle fill="none" stroke="currentColor" stroke-width="2.4" cx="10" cy="10" r="6" />;
    case 'closed':
      return <path fill="none" stroke="currentColor" stroke-width="3" d="M3 11l5 5 9-12" />;
  }
}
