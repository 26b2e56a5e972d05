import { type MessageHeader, readHeader, startOfMessage } from './message-header.ts';

/**
 * The messages in one frame. A batch (FHS/BHS … BTS/FTS, chapter 2.10.3) is cut at each line that starts with MSH; everything
 * else is one message, also when a second MSH stands in it: that is a framing fault and is refused when read.
 */
export function splitBatch(bytes: Buffer): Buffer[] {
  const start = startOfMessage(bytes);
  const beginning = bytes.toString('latin1', start, start + 64).trimStart();
  return /^(?:FHS|BHS)/.test(beginning) ? splitMessages(bytes) : [bytes];
}

/**
 * Cuts at every line that is an MSH segment; batch headers and trailers are left out. A report may have line breaks in its text: "MSH (menstrual history)" or "FTS 7" at the
 * beginning of a line is no segment, and a message that was cut there would be filed without its rest.
 */
export function splitMessages(bytes: Buffer): Buffer[] {
  const text = bytes.toString('latin1');
  // The separator of the batch, or MSH-1 and MSH-2 of whatever kind: three delimiters in a row.
  const separator = escaped(text[startOfMessage(bytes) + 3] ?? '|');
  const header = new RegExp(`(?<=^|[\\r\\n]|\\xef\\xbb\\xbf)MSH(?:${separator}|${DELIMITER}{3})`, 'g');
  const starts = [...text.matchAll(header)].map((match) => match.index);
  return starts.map((start, at) =>
    Buffer.from(withoutEnvelope(text.slice(start, starts[at + 1]), separator), 'latin1'),
  );
}

/** Without the trailers, and the headers of a further batch, that stand at its end. */
function withoutEnvelope(message: string, separator: string): string {
  const isEnvelope = new RegExp(
    `^(?:[BF](?:TS|HS)(?:${separator}|${escaped(message[3]!)}|$)|[BF]HS${DELIMITER}{3}|$)`,
  );
  let end = message.length;
  for (;;) {
    const lineEnd = message[end - 1] === '\r' || message[end - 1] === '\n' ? end - 1 : end;
    const start =
      Math.max(message.lastIndexOf('\r', lineEnd - 1), message.lastIndexOf('\n', lineEnd - 1)) + 1;
    if (start === 0 || !isEnvelope.test(message.slice(start, Math.min(lineEnd, start + 6))))
      return message.slice(0, end);
    end = start;
  }
}

const DELIMITER = '[!-/:-@[-`{-~]';

const escaped = (character: string) => character.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');

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
