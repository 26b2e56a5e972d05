import { describe, expect, it } from 'vitest';
import { FIELD_CHARS_KEPT } from './codec/kept-segment.ts';
import { type Hl7Segment, readMessage } from './codec.ts';
import { bytesIn, type MessageBytes, READ_BYTES } from './message-bytes.ts';
import { PIECE_SEGMENTS_MAX, readPiece } from './read-piece.ts';

const HEAD = 'MSH|^~\\&|HIS|HOSPITAL|PRELIM|RADIOLOGY|20260301080000||ORU^R01|C1|P|2.5.1||||||';

/** Everything that a segment says. */
const wordsOf = (segment: Hl7Segment) => [
  segment.name,
  ...Array.from({ length: segment.lastField }, (_, at) =>
    segment
      .repetitions(at + 1)
      .map((one) => Array.from({ length: one.lastComponent }, (_c, c) => one.text(c + 1))),
  ),
];

async function inPieces(bytes: MessageBytes) {
  const pieces: unknown[][][] = [];
  for (let from: number | null = 0; from !== null; ) {
    const piece = await readPiece(bytes, from);
    pieces.push(piece.message.segments.map(wordsOf));
    from = piece.next;
  }
  return pieces;
}

/** Some of everything that a line can be. */
const LINES = [
  'PID|1||4711^^^HOSPITAL&1.2&ISO^MR~99^^^X||Zwiebelkuchen^Adelgunde||19600517|F',
  'OBX|1|TX|59776-5^Findings^LN||a \\T\\ b \\X41\\ \\E\\ text||||||F',
  'which goes on in a line of its own',
  'RLL',
  'OBX',
  '',
  'NTE|1||über & über|""',
  'PIDgin is no segment|but text',
  'ZZZ|~a~^^b&&c|||',
  '   ',
];

describe('a message in pieces says what it says as a whole', () => {
  const many = (times: number) => Array.from({ length: times }, () => LINES).flat();
  const cases: readonly (readonly [string, Buffer])[] = [
    ['CR', Buffer.from(`${HEAD}UNICODE UTF-8\r${many(900).join('\r')}\r`)],
    ['LF', Buffer.from(`${HEAD}\n${many(900).join('\n')}`)],
    ['CR LF behind a start block', Buffer.from(`\x0b\r\n${HEAD}\r\n${many(900).join('\r\n')}\r\n\x1c`)],
    ['8859/1', Buffer.from(`${HEAD}8859/1\r${many(900).join('\r')}\r`, 'latin1')],
    [
      'other delimiters',
      Buffer.from(
        `${HEAD}\r${many(900).join('\r')}\r`.replace(
          /[|^~\\&]/g,
          (one) => '#!*?%'['|^~\\&'.indexOf(one)] ?? '',
        ),
      ),
    ],
    ['no escape', Buffer.from(`MSH|^~|A|B\r${many(900).join('\r')}\r`)],
    ['one line', Buffer.from(`${HEAD}\r`)],
    ['a header alone', Buffer.from('MSH|^~\\&')],
    [
      'Japanese',
      Buffer.from(`${HEAD}~ISO IR87\r${many(900).join('\r').replace(/ü/g, '\x1b$B%O|~\x1b(B')}\r`, 'latin1'),
    ],
  ];

  it.each(cases)('%s', async (_, bytes) => {
    const pieces = await inPieces(bytesIn(bytes));
    expect(pieces.flat()).toEqual(readMessage(bytes).segments.map(wordsOf));
    for (const segments of pieces) expect(segments.length).toBeLessThanOrEqual(PIECE_SEGMENTS_MAX);
    if (bytes.length > READ_BYTES) expect(pieces.length).toBeGreaterThan(2);
  });

  it('in the character set of its sender, where MSH-18 names none', async () => {
    const bytes = Buffer.from(`${HEAD}""\r${many(900).join('\r')}\r`, 'latin1');
    const pieces: unknown[] = [];
    for (let from: number | null = 0; from !== null; ) {
      const piece = await readPiece(bytesIn(bytes), from, () => '8859/1');
      pieces.push(...piece.message.segments.map(wordsOf));
      from = piece.next;
    }
    expect(pieces).toEqual(readMessage(bytes, { defaultCharset: '8859/1' }).segments.map(wordsOf));
  });

  it('wherever a read ends: in a line, in its end, in a letter', async () => {
    for (let shift = 0; shift < 12; shift += 1) {
      const bytes = Buffer.from(
        `${HEAD}\r\nNTE|1||${'x'.repeat(READ_BYTES - HEAD.length - 16 + shift)}üü\r\nNTE|2||end\r\n`,
      );
      const [first, ...others] = await inPieces(bytesIn(bytes));
      expect(first?.[1]?.[0]).toBe('NTE');
      expect([...(first ?? []), ...others.flat()].map(([name]) => name)).toEqual(['MSH', 'NTE', 'NTE']);
      expect([...(first ?? []), ...others.flat()].at(-1)?.[3]).toEqual([['end']]);
    }
  });
});

describe('a piece', () => {
  it('costs what is shown: of 13 MB in 190,000 lines no more is read than its own', async () => {
    const lines = Array.from({ length: 190_000 }, (_, n) => `NTE|${n}||line ${n} ${'x'.repeat(50)}`);
    const bytes = Buffer.from(`${HEAD}\r${lines.join('\r')}\r`);
    let read = 0;
    const counted: MessageBytes = {
      ...bytesIn(bytes),
      read: async (offset, length) => {
        read += length;
        return bytes.subarray(offset, offset + length);
      },
    };
    const { next } = await readPiece(counted);
    const second = await readPiece(counted, next ?? 0);
    expect(second.message.segments).toHaveLength(PIECE_SEGMENTS_MAX);
    expect(second.message.segments[0]?.get(1)).toBe('499');
    expect(read).toBeLessThan(6 * READ_BYTES);
  });

  it('has of a very long field the beginning, how long it is, and the fields behind it', async () => {
    const pdf = 'JVBERi0x'.repeat(100_000);
    const bytes = Buffer.from(`${HEAD}\rOBX|1|ED|a||^AP^PDF^Base64^${pdf}||||||F\rNTE|1||end\r`);
    const { message, cut, next } = await readPiece(bytesIn(bytes));
    const [, obx] = message.segments;
    expect(obx?.get(5, 5).length).toBeLessThan(FIELD_CHARS_KEPT);
    expect(obx?.get(11)).toBe('F');
    expect(cut.get(obx!)).toEqual(new Map([[5, pdf.length + '^AP^PDF^Base64^'.length]]));
    const [nte] = (await readPiece(bytesIn(bytes), next ?? 0)).message.segments;
    expect(nte?.get(3)).toBe('end');
  });

  it('keeps little of a segment of very many or very long fields, and of a text in very many lines', async () => {
    const wide = `ZZZ${'|y'.repeat(500_000)}`;
    const long = `ZZZ${`|${'z'.repeat(50_000)}`.repeat(100)}`;
    const broken = `NTE|1||${Array.from({ length: 100_000 }, (_, n) => `line ${n}`).join('\n')}|behind`;
    const bytes = bytesIn(Buffer.from(`${HEAD}\r${[wide, long, broken].join('\r')}\r`));
    for (let from: number | null = 0; from !== null; ) {
      const piece = await readPiece(bytes, from);
      expect(JSON.stringify(piece.message.segments.map(wordsOf)).length).toBeLessThan(3 * READ_BYTES);
      from = piece.next;
      if (from === null) expect(piece.message.segments.at(-1)?.get(4)).toBe('behind');
    }
  });

  it('begins nowhere but where a segment begins', async () => {
    const text = `${HEAD}\rNTE|1||a\nfree OBX|1\nPID|1||4711\r`;
    const bytes = bytesIn(Buffer.from(text));
    const refused = { code: 'http.bad-request' };
    for (const inside of ['OBX|1', 'TE|1', '|1||a', 'free', '711'])
      await expect(readPiece(bytes, text.indexOf(inside))).rejects.toMatchObject(refused);
    await expect(readPiece(bytes, 999_999)).rejects.toMatchObject(refused);
    expect((await readPiece(bytes, text.indexOf('PID'))).message.segments[0]?.get(3)).toBe('4711');
  });

  it('is refused by name where its bytes are of no character set, or two messages came in one', async () => {
    const head = `${HEAD}\r${'NTE|1||x\r'.repeat(600)}`;
    const bad = bytesIn(Buffer.concat([Buffer.from(`${head}NTE|1||`), Buffer.of(0xff), Buffer.from('\r')]));
    const { next } = await readPiece(bad);
    await expect(readPiece(bad, next ?? 0)).rejects.toMatchObject({ code: 'hl7.charset' });
    const two = bytesIn(Buffer.from(`${HEAD}\r${HEAD}\r`));
    await expect(readPiece(two)).rejects.toMatchObject({ code: 'hl7.several-messages' });
    await expect(readPiece(bytesIn(Buffer.from('no message')))).rejects.toMatchObject({
      code: 'hl7.unreadable',
    });
  });
});
