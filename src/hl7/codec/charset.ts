import { isAscii } from 'node:buffer';
import { Failure } from '../../kernel/errors.ts';

/** Character sets that messages are written in; names of HL7 table 0211. */
export type WrittenCharset = 'UNICODE UTF-8' | '8859/1' | 'ASCII';

/**
 * The character set of a message by the repetitions of MSH-18 (`""` says none): the first one is what the message begins in, further ones are those that it switches to by escapes of
 * ISO 2022 (chapter 2.15.9.18). Of these Japanese is read; a message that switches to another one has a name that no table has, and is refused: its letters would be
 * taken for others.
 */
export function charsetOf(repetitions: readonly string[], bytes: Pick<Buffer, 'includes'>): string {
  const [declared = ''] = repetitions;
  const first = declared.trim() === '""' ? '' : declared;
  if (!maySwitch(repetitions) || !bytes.includes(ESC)) return first;
  return repetitions.find((one) => one.trim().toUpperCase() === 'ISO IR87') ?? repetitions.join('~');
}

/** Does it depend on the bytes which character set it is? */
export const maySwitch = (repetitions: readonly string[]): boolean => repetitions.length > 1;

/** What begins a switch. */
export const ESC = 0x1b;

/**
 * Decodes a message body. `declared` is MSH-18 (see `charsetOf`); empty or ASCII means the site's own default,
 * because senders that leave it empty send whatever their machine speaks. A byte that the character set does not
 * have refuses the message: a guessed letter would be a wrong name.
 */
export function decode(bytes: Buffer, declared: string, siteDefault: string): string {
  const label = decoderLabel(declared, siteDefault);
  if (label === 'utf-8' && isAscii(bytes)) return bytes.toString('latin1');
  try {
    return decoderOf(label).decode(bytes);
  } catch (cause) {
    throw notOf(label, cause);
  }
}

/** As `decode`, part after part: a letter may begin in one and end in the next. `isLast` says that nothing follows. */
export function decoderOfParts(
  declared: string,
  siteDefault: string,
): (bytes: Buffer, isLast: boolean) => string {
  const label = decoderLabel(declared, siteDefault);
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  return (bytes, isLast) => {
    try {
      return decoder.decode(bytes, { stream: !isLast });
    } catch (cause) {
      throw notOf(label, cause);
    }
  };
}

const notOf = (label: string, cause: unknown): Failure =>
  new Failure(
    'hl7.charset',
    `The message is not valid ${label}: send what MSH-18 says, or set MSH-18 to what is sent.`,
    { issues: [{ at: 'MSH^1^18', text: 'is not the character set of the message' }], cause },
  );

/** Made once: making one costs more than a message does. */
const DECODERS = new Map<string, InstanceType<typeof TextDecoder>>();

function decoderOf(label: string): InstanceType<typeof TextDecoder> {
  const known = DECODERS.get(label) ?? new TextDecoder(label, { fatal: true, ignoreBOM: true });
  DECODERS.set(label, known);
  return known;
}

/**
 * Text of the bytes in a run of `\X..\` escapes. The standard leaves their character set open; writers of UTF-8
 * (we among them) are told from the others because other bytes hardly ever form valid UTF-8.
 */
export function decodeHex(hex: string, declared: string, siteDefault: string): string {
  const bytes = Buffer.from(hex, 'hex');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return new TextDecoder(decoderLabel(declared, siteDefault)).decode(bytes);
  }
}

/** Can this code point be written in the character set without an escape? */
export function isWritable(codePoint: number, charset: WrittenCharset): boolean {
  if (codePoint < 0x20 || (codePoint >= 0x7f && codePoint < 0xa0)) return false;
  if (charset === 'ASCII') return codePoint < 0x7f;
  if (charset === '8859/1') return codePoint <= 0xff;
  return true;
}

/** Bytes of a text that holds only writable code points. */
export function encode(text: string, charset: WrittenCharset): Buffer {
  return Buffer.from(text, charset === 'UNICODE UTF-8' ? 'utf8' : 'latin1');
}

/**
 * Table 0211 → Encoding Standard. UTF-16 and UTF-32 are left out on purpose: their bytes collide with the frame.
 * `iso-8859-1` is decoded as windows-1252 there, which is what senders of "8859/1" send.
 */
const DECODER_LABELS: Readonly<Record<string, string>> = {
  '8859/1': 'iso-8859-1',
  '8859/2': 'iso-8859-2',
  '8859/3': 'iso-8859-3',
  '8859/4': 'iso-8859-4',
  '8859/5': 'iso-8859-5',
  '8859/6': 'iso-8859-6',
  '8859/7': 'iso-8859-7',
  '8859/8': 'iso-8859-8',
  '8859/9': 'windows-1254',
  '8859/15': 'iso-8859-15',
  UNICODE: 'utf-8',
  'UNICODE UTF-8': 'utf-8',
  // Not in the table, and sent: each means one thing only.
  'ISO-8859-1': 'iso-8859-1',
  'ISO8859-1': 'iso-8859-1',
  'ISO IR100': 'iso-8859-1',
  'WINDOWS-1252': 'windows-1252',
  'UTF-8': 'utf-8',
  UTF8: 'utf-8',
  'ISO IR87': 'iso-2022-jp',
  'GB 18030-2000': 'gb18030',
  'GB 18030': 'gb18030',
  'KS X 1001': 'euc-kr',
  'BIG-5': 'big5',
};

/** Names of plain ASCII: what a sender says that has not thought of other letters. */
const SITE_OWN: ReadonlySet<string> = new Set(['', 'ASCII', 'ISO IR6']);

/** Is it a character set that messages are read in? */
export const isReadCharset = (name: string): boolean => {
  const wanted = name.trim().toUpperCase();
  return wanted === 'ASCII' || Object.hasOwn(DECODER_LABELS, wanted);
};

function decoderLabel(declared: string, siteDefault: string): string {
  const name = declared.trim().toUpperCase();
  if (SITE_OWN.has(name)) {
    const own = siteDefault.toUpperCase();
    return own === 'ASCII' ? 'utf-8' : (DECODER_LABELS[own] ?? 'utf-8');
  }
  const label = DECODER_LABELS[name];
  if (label === undefined) {
    throw new Failure(
      'hl7.charset',
      'MSH-18 names a character set that is not read here: send UNICODE UTF-8.',
      {
        issues: [{ at: 'MSH^1^18', text: 'is not supported' }],
      },
    );
  }
  return label;
}
