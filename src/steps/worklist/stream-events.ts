import type { FastifyReply } from 'fastify';

export interface EventStream {
  send(event: string, data: object): void;
  /** Ends the stream; the page connects again and reads everything anew. */
  readonly end: () => void;
}

/** Proxies close a connection that is silent for 30 to 60 s, and the page takes 40 s of silence for a broken one. */
export const BEAT_MS = 15_000;
/** After the lifetime of a token the stream ends, and the token is looked at again. */
export const STREAM_MS_MAX = 300_000;
/** What a page that does not read may pile up here before it is cut off: some hundred rows. */
export const STREAM_BUFFER_BYTES_MAX = 1024 * 1024;

/**
 * Answers with an event stream. `listen` is given the stream and gives back what ends its listening; when it throws, nothing is
 * sent yet and the failure is answered like any other.
 */
export function streamEvents(
  reply: FastifyReply,
  headers: Readonly<Record<string, string>>,
  listen: (stream: EventStream) => () => void,
): void {
  const { raw } = reply;
  const end = () => void raw.end();
  const send = (event: string, data: object) => {
    if (raw.writableLength > STREAM_BUFFER_BYTES_MAX) raw.destroy();
    else raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const unlisten = listen({ send, end });
  reply.hijack();
  raw.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    // Tells nginx not to gather the stream into blocks.
    'x-accel-buffering': 'no',
  });
  const beat = () => send('beat', { at: new Date().toISOString() });
  const beats = setInterval(beat, BEAT_MS);
  const last = setTimeout(end, STREAM_MS_MAX);
  raw.on('close', () => {
    clearInterval(beats);
    clearTimeout(last);
    unlisten();
  });
  beat();
}
