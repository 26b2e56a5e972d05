import { TextDecoder } from 'node:util';

/**
 * Specific Character Set (0008,0005), PS3.3 C.12.1.1.2 and PS3.5 6.1.2. Without code extensions a whole value is in one
 * set. With them (ISO 2022 terms) escape sequences switch the lower half (G0) or the upper half (G1) of the code table
 * until a delimiter resets both; each run between two escapes is handed to the TextDecoder of the set it is in.
 */
export type DecodeText = (bytes: Buffer) => string;

/** Decoder for the values of (0008,0005); unknown terms fall back to ISO 8859-1, which maps every byte to something. */
export function decoderOf(terms: readonly string[]): DecodeText {
  const first = terms[0] ?? '';
  const single =
    SINGLE_SETS[first.replace(/^ISO[ _]2022[ _]IR[ _]?/, 'ISO_IR ').replace(/^ISO[ _-]IR[ _-]?/, 'ISO_IR ')];
  const initial = single ?? 'latin1';
  if (terms.length > 1 || first.startsWith('ISO 2022')) return (bytes) => decodeExtended(bytes, initial);
  return (bytes) => decodeIn(initial, bytes);
}

/** Is every byte printable ASCII or a control that is the same in all sets (no ESC)? Then no decoder is needed. */
export function isPlain(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x80 || byte === ESCAPE) return false;
  }
  return true;
}

const ESCAPE = 0x1b;

/** Defined terms to WHATWG labels. JIS X 0201 (13) is the single-byte part of Shift_JIS. */
const SINGLE_SETS: Readonly<Record<string, string>> = {
  '': 'latin1',
  'ISO_IR 6': 'latin1',
  'ISO_IR 100': 'latin1',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'iso-8859-9',
  'ISO_IR 203': 'iso-8859-15',
  'ISO_IR 13': 'shift_jis',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 192': 'utf-8',
  GB18030: 'gb18030',
  GBK: 'gbk',
};

/** Escape sequences (after ESC) of PS3.3 table C.12-3 and C.12-4: which half they set, and to what. */
const ESCAPES: Readonly<Record<string, { half: 'g0' | 'g1'; set: string }>> = {
  '(B': { half: 'g0', set: 'ascii' },
  '(J': { half: 'g0', set: 'ascii' },
  $B: { half: 'g0', set: 'jis-x-0208' },
  '$@': { half: 'g0', set: 'jis-x-0208' },
  '$(D': { half: 'g0', set: 'jis-x-0212' },
  ')I': { half: 'g1', set: 'shift_jis' },
  '$)C': { half: 'g1', set: 'euc-kr' },
  '$)A': { half: 'g1', set: 'gbk' },
  '-A': { half: 'g1', set: 'latin1' },
  '-B': { half: 'g1', set: 'iso-8859-2' },
  '-C': { half: 'g1', set: 'iso-8859-3' },
  '-D': { half: 'g1', set: 'iso-8859-4' },
  '-L': { half: 'g1', set: 'iso-8859-5' },
  '-G': { half: 'g1', set: 'iso-8859-6' },
  '-F': { half: 'g1', set: 'iso-8859-7' },
  '-H': { half: 'g1', set: 'iso-8859-8' },
  '-M': { half: 'g1', set: 'iso-8859-9' },
  '-b': { half: 'g1', set: 'iso-8859-15' },
  '-T': { half: 'g1', set: 'windows-874' },
};

/** Values, components and lines start in the initial sets again (PS3.5 6.1.2.5.3): TAB LF FF CR = \ ^ */
const DELIMITERS = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x3d, 0x5c, 0x5e]);

function decodeExtended(bytes: Buffer, initial: string): string {
  let text = '';
  let g0 = 'ascii';
  let g1 = initial;
  let from = 0;
  let at = 0;
  const flush = (to: number) => {
    if (to > from) text += decodeRun(bytes.subarray(from, to), g0, g1);
    from = to;
  };
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0;
    if (byte === ESCAPE) {
      flush(at);
      const sequence = escapeAt(bytes, at + 1);
      const change = ESCAPES[sequence];
      if (change?.half === 'g0') g0 = change.set;
      else if (change?.half === 'g1') g1 = change.set;
      at += 1 + sequence.length;
      from = at;
    } else if (g0 === 'ascii' && DELIMITERS.has(byte) && !isSecondByte(bytes, from, at, g1)) {
      flush(at);
      text += String.fromCharCode(byte);
      g1 = initial;
      at += 1;
      from = at;
    } else if (g0 !== 'ascii' && byte < 0x21) {
      // Control characters and space are never part of a two-byte character; the sender forgot to switch back.
      flush(at);
      g0 = 'ascii';
    } else at += 1;
  }
  flush(bytes.length);
  return text;
}

/** ESC, intermediates 0x20–0x2F, one final byte 0x30–0x7E (ISO/IEC 2022). */
function escapeAt(bytes: Buffer, start: number): string {
  let end = start;
  while (end < bytes.length && end - start < 3 && (bytes[end] ?? 0) >= 0x20 && (bytes[end] ?? 0) <= 0x2f)
    end += 1;
  return bytes.toString('latin1', start, Math.min(end + 1, bytes.length));
}

/** GBK is the only upper half here whose characters may end in a byte that looks like a delimiter. */
function isSecondByte(bytes: Buffer, from: number, at: number, g1: string): boolean {
  if (g1 !== 'gbk') return false;
  let lead = at - 1;
  while (lead >= from && (bytes[lead] ?? 0) >= 0x81) lead -= 1;
  return (at - 1 - lead) % 2 === 1;
}

function decodeRun(run: Buffer, g0: string, g1: string): string {
  if (g0 === 'jis-x-0208')
    return decodeIn(
      'euc-jp',
      run.map((byte) => byte | 0x80),
    );
  if (g0 === 'jis-x-0212') return decodeIn('euc-jp', withPrefix(run));
  return decodeIn(g1, run);
}

/** JIS X 0212 in EUC-JP: each character is 0x8F and two bytes with the high bit. */
function withPrefix(run: Buffer): Uint8Array {
  const out: number[] = [];
  for (let at = 0; at + 1 < run.length; at += 2)
    out.push(0x8f, (run[at] ?? 0) | 0x80, (run[at + 1] ?? 0) | 0x80);
  return Uint8Array.from(out);
}

const decoders = new Map<string, TextDecoder>();

function decodeIn(label: string, bytes: Uint8Array): string {
  let decoder = decoders.get(label);
  if (decoder === undefined) {
    decoder = new TextDecoder(label);
    decoders.set(label, decoder);
  }
  return decoder.decode(bytes);
}
