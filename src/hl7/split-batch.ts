import { type MessageHeader, readHeader } from './message-header.ts';

/**
 * The messages in one frame. A batch (FHS/BHS … BTS/FTS, chapter 2.10.3) is cut at each line that starts with MSH; everything
 * else is one message, also when a second MSH stands in it: that is a framing fault and is refused when read.
 */
export function splitBatch(bytes: Buffer): Buffer[] {
  const beginning = bytes.toString('latin1', 0, 64).trimStart();
  return /^(?:FHS|BHS)/.test(beginning) ? splitMessages(bytes) : [bytes];
}

/** Cuts at every line that starts with `MSH`; batch headers and trailers are left out. */
export function splitMessages(bytes: Buffer): Buffer[] {
  const text = bytes.toString('latin1');
  const starts = [...text.matchAll(/(?<=^|[\r\n])MSH(?![A-Za-z0-9])/g)].map((match) => match.index);
  return starts.map((start, at) => {
    const message = text.slice(start, starts[at + 1]);
    const trailer = message.search(/(?<=[\r\n])(?:BTS|FTS|BHS|FHS)(?![A-Za-z0-9])/);
    return Buffer.from(trailer < 0 ? message : message.slice(0, trailer), 'latin1');
  });
}

/**
 * The bytes of a message without MSH-7: a sender that repeats a message may give it a new time, and it is the same message.
 */
export function withoutMessageTime(bytes: Buffer, header: MessageHeader | null = readHeader(bytes)): Buffer {
  if (header === null) return bytes;
  const separator = header.fieldSeparator.charCodeAt(0);
  let at = header.start;
  for (let seen = 0; seen < 6; seen += 1) at = bytes.indexOf(separator, at) + 1 || bytes.length;
  return Buffer.concat([bytes.subarray(header.start, at), bytes.subarray(at + header.field(7).length)]);
}
