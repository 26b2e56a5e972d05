import { Failure } from '../kernel/errors.ts';
import { canonicalText, readDelimiters } from './codec/canonical.ts';
import { charsetOf, decode } from './codec/charset.ts';
import { unescapeText } from './codec/escapes.ts';
import type { ReadOptions } from './codec.ts';
import { type MessageHeader, readHeader } from './message-header.ts';

/**
 * Looks at a message without taking it apart: header, delimiters, character set and segment names are checked as `readMessage` checks them, and
 * single fields can be read. Some microseconds for a usual message, so that the MLLP door can refuse honestly before it
 * stores; `readMessage` may still refuse what this lets pass only for its contents.
 * Throws `Failure` `hl7.*` for anything that cannot be read, and nothing else.
 */
export function scanMessage(
  bytes: Buffer,
  header: MessageHeader | null = readHeader(bytes),
  options: ReadOptions = {},
): ScannedMessage {
  if (header === null) {
    throw new Failure('hl7.unreadable', 'The message does not start with an MSH segment.', {
      issues: [{ at: 'MSH', text: 'is missing' }],
    });
  }
  const delimiters = readDelimiters(header.fieldSeparator, header.encodingCharacters);
  const charset = charsetOf(header.repetitions(18), bytes);
  const siteDefault = options.defaultCharset ?? 'UNICODE UTF-8';
  const text = decode(bytes.subarray(header.start), charset, siteDefault);
  return new ScannedMessage(canonicalText(text, delimiters), (escaped) =>
    unescapeText(escaped, charset, siteDefault),
  );
}

/** Single fields of a message, each looked for when asked. What is not there is ''. */
export class ScannedMessage {
  constructor(
    private readonly canonical: string,
    private readonly toText: (escaped: string) => string,
  ) {}

  has(segment: string): boolean {
    return segment === 'MSH' || this.canonical.includes(`\r${segment}|`);
  }

  /** The first number in a field of numbers (CX, EI): its first component, of the first repetition that has one. */
  number(segment: string, field: number): string {
    const all = this.field(segment, field).split('~');
    const first = all
      .map((one) => /^[^^&]*/.exec(one)?.[0].trim() ?? '')
      .find((one) => one !== '' && one !== '""');
    return this.toText(first ?? '');
  }

  /** First subcomponent of a component, in the first repetition, of the first segment of that name. */
  get(segment: string, field: number, component = 1): string {
    const [repetition = ''] = this.field(segment, field).split('~', 1);
    const [subcomponent = ''] = (repetition.split('^', component)[component - 1] ?? '').split('&', 1);
    return this.toText(subcomponent);
  }

  private field(segment: string, n: number): string {
    const start = segment === 'MSH' ? 0 : this.canonical.indexOf(`\r${segment}|`) + 1;
    if (start === 0 && segment !== 'MSH') return '';
    const line = this.canonical.slice(start, this.canonical.indexOf('\r', start));
    const at = segment === 'MSH' ? n - 1 : n;
    return line.split('|', at + 1)[at] ?? '';
  }
}
