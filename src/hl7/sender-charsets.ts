import { Failure } from '../kernel/errors.ts';
import { isReadCharset } from './codec/charset.ts';
import { type MessageHeader, readHeader } from './message-header.ts';

/** In which character set a message without MSH-18, or with ASCII there, is read: a name of table 0211. */
export type SenderCharsets = (header: MessageHeader | null) => string;

/**
 * `UNICODE UTF-8;OLDRIS=8859/1`: the first part is for all whom no other part names; a name is that of MSH-3 or MSH-4. Older senders write no MSH-18 and send what their
 * machine speaks. Throws `config.invalid`.
 */
export function readSenderCharsets(setting: string): SenderCharsets {
  const bySender = new Map<string, string>();
  let rest = '';
  for (const part of setting.split(';').filter((one) => one.trim() !== '')) {
    const [charset = '', sender] = part
      .split('=')
      .map((text) => text.trim())
      .reverse();
    if (!isReadCharset(charset)) throw invalid('name a character set of table 0211, for instance 8859/1');
    if (sender === undefined) rest = charset;
    else bySender.set(sender, charset);
  }
  if (rest === '') throw invalid('name the character set of all senders, for instance UNICODE UTF-8');
  return (header) => bySender.get(nameIn(header, 3)) ?? bySender.get(nameIn(header, 4)) ?? rest;
}

/** The same for bytes whose header nobody has read yet. */
export const charsetOfSender = (charsets: SenderCharsets, bytes: Buffer): string =>
  charsets(readHeader(bytes));

const nameIn = (header: MessageHeader | null, field: 3 | 4) => header?.component(field, 1).trim() ?? '';

function invalid(text: string): Failure {
  return new Failure('config.invalid', `HL7_CHARSET cannot be used: ${text}.`, {
    issues: [{ at: 'HL7_CHARSET', text }],
  });
}
