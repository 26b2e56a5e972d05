/** One event of a `text/event-stream` (WHATWG HTML, 9.2.6). */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** Longest event kept; a row is a few kilobytes. */
export const EVENT_CHARS_MAX = 4_000_000;

/**
 * Makes a parser of an event stream that comes in pieces: each call takes the next piece of text and gives the events that
 * ended in it. Comments and the fields `id` and `retry` are passed over. Throws when one event grows without end.
 */
export function eventStreamParser(): (piece: string) => StreamEvent[] {
  let rest = '';
  let event = '';
  let data: string[] = [];
  return (piece) => {
    rest += piece;
    if (rest.length > EVENT_CHARS_MAX) throw new Error('an event of the stream is too long');
    // A carriage return at the very end may be half of a line end: it waits for the next piece.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    const events: StreamEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) events.push({ event: event || 'message', data: data.join('\n') });
        event = '';
        data = [];
      } else {
        const [field, value] = fieldOf(line);
        if (field === 'event') event = value;
        if (field === 'data') data.push(value);
      }
    }
    return events;
  };
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon === -1) return [line, ''];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}
