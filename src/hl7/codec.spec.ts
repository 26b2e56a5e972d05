import { describe, expect, it } from 'vitest';
import { Failure } from '../kernel/errors.ts';
import { CELLS_MAX, SEGMENTS_MAX, SEGMENTS_STANDARD_MAX } from './codec/canonical.ts';
import { buildMessage, type Hl7Segment, type Repetition, type Row, readMessage } from './codec.ts';

const MSH = 'MSH|^~\\&|SEND|HOSP|RECV|HOSP|20260115101522||ORM^O01^ORM_O01|1|P|2.5.1';
const read = (...lines: string[]) => readMessage(Buffer.from([MSH, ...lines].join('\r')));
const refusal = (bytes: Buffer): string => {
  try {
    readMessage(bytes);
  } catch (error) {
    return error instanceof Failure ? error.code : `not a Failure: ${String(error)}`;
  }
  return 'read';
};

describe('Reading a message', () => {
  it('resolves the escapes of the five delimiters and of hexadecimal data, once', () => {
    const pid = read('PID|||a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X0D0A\\g\\E\\X41\\E\\').segment('PID')!;
    expect(pid.get(3)).toBe('a|b^c&d~e\\f\r\ng\\X41\\');
  });

  it('keeps formatting commands and unknown escapes as they are', () => {
    expect(read('NTE|1||a\\.br\\b\\H\\c\\N\\d\\Zff\\e\\').segment('NTE')!.get(3)).toBe(
      'a\\.br\\b\\H\\c\\N\\d\\Zff\\e\\',
    );
  });

  it('reads hexadecimal letters as UTF-8, also when each byte has its own escape', () => {
    expect(read('PID|||M\\XC3\\\\XA9\\L').get('PID', 1, 3)).toBe('MéL');
  });

  it('knows the four shapes of a field apart: text, components, repetitions, subcomponents of one component', () => {
    const pid = read('PID|one|a^b|1^^^H&1.2&ISO~2^^^K|A&B|x~y&z|~&').segment('PID')!;
    expect(pid.get(1)).toBe('one');
    expect(pid.get(2, 2)).toBe('b');
    expect(pid.get(3, 4, 2)).toBe('1.2');
    expect(pid.repetitions(3).map((one) => [one.get(1), one.get(4)])).toEqual([
      ['1', 'H'],
      ['2', 'K'],
    ]);
    expect([pid.get(4, 1, 1), pid.get(4, 1, 2)]).toEqual(['A', 'B']);
    expect([pid.get(5), pid.get(5, 1, 2, 2)]).toEqual(['x', 'z']);
    expect(pid.repetitions(6)).toHaveLength(2);
  });

  it('gives an empty text for everything that is not there and keeps the delete mark', () => {
    const message = read('PID|1||""');
    expect(message.get('PID', 1, 3)).toBe('""');
    expect([message.get('PID', 2, 3), message.get('ZZZ', 1, 1), message.get('PID', 1, 99, 9, 9, 9)]).toEqual([
      '',
      '',
      '',
    ]);
    expect(message.segment('PID')!.repetitions(2)).toEqual([]);
  });

  it('gives segments in message order, with bare segments and Z segments kept', () => {
    const message = read('PID|1', 'OBX|1', 'NTE|1', 'OBX|2', 'ZXX', 'ZDS|1.2');
    expect(message.segments.map((segment) => segment.name)).toEqual([
      'MSH',
      'PID',
      'OBX',
      'NTE',
      'OBX',
      'ZXX',
      'ZDS',
    ]);
    expect(message.get('OBX', 2, 1)).toBe('2');
  });

  it.each(['\r', '\n', '\r\n'])('reads line ends %j, with blank lines between', (eol) => {
    const message = readMessage(Buffer.from([MSH, '', 'PID|1||7', 'PV1|1'].join(eol)));
    expect(message.get('PID', 1, 3)).toBe('7');
    expect(message.segments).toHaveLength(3);
  });

  it('takes a line break inside a field back into the field', () => {
    const message = readMessage(Buffer.from(`${MSH}\rOBX|1|TX|||line one\nline two\nline three||A\rNTE|1`));
    expect(message.get('OBX', 1, 5)).toBe('line one\nline two\nline three');
    expect(message.get('OBX', 1, 7)).toBe('A');
    expect(message.segments).toHaveLength(3);
  });

  it('skips a start block, a byte order mark and line ends before MSH, and an end block after', () => {
    for (const before of ['\x0b', '\ufeff', '\r\n', '\x0b\ufeff\r\n']) {
      expect(readMessage(Buffer.from(`${before}${MSH}\rPID|||7\r\x1c\r`)).get('PID', 1, 3)).toBe('7');
    }
  });

  it('translates foreign delimiters and keeps text that looks like ours', () => {
    const message = readMessage(
      Buffer.from('MSH*:;!@*A*B*C*D*20260115**ORM:O01*1*P*2.3\rPID***1:2@3;4*a|b^c*x!F!y!T!z!R!!.br!'),
    );
    expect(message.get('MSH', 1, 9, 2)).toBe('O01');
    expect([message.get('PID', 1, 3, 2, 2), message.get('PID', 1, 3, 1, 1, 2)]).toEqual(['3', '4']);
    expect(message.get('PID', 1, 4)).toBe('a|b^c');
    expect(message.get('PID', 1, 5)).toBe('x*y@z;\\.br\\');
    expect([message.get('MSH', 1, 1), message.get('MSH', 1, 2)]).toEqual(['*', ':;!@']);
  });

  it('reads letters by MSH-18 and tells them apart from UTF-8', () => {
    const latin = Buffer.from(`${MSH}||||||8859/1\rPID|||||M\xdcLLER`, 'latin1');
    expect(readMessage(latin).get('PID', 1, 5)).toBe('MÜLLER');
    const cyrillic = Buffer.from(`${MSH}||||||8859/5\rPID|||||\xb8\xd2\xd0\xdd`, 'latin1');
    expect(readMessage(cyrillic).get('PID', 1, 5)).toBe('Иван');
    const undeclared = Buffer.from(`${MSH}\rPID|||||M\xdcLLER`, 'latin1');
    expect(readMessage(undeclared, { defaultCharset: '8859/1' }).get('PID', 1, 5)).toBe('MÜLLER');
    expect(refusal(undeclared)).toBe('hl7.charset');
  });

  it.each([
    ['GB 18030', '\xd5\xc5', '张'],
    ['GB 18030-2000', '\xd5\xc5', '张'],
    ['ISO-8859-1', 'M\xdcLLER', 'MÜLLER'],
    ['ISO IR100', 'M\xdcLLER', 'MÜLLER'],
    ['WINDOWS-1252', '\x80', '€'],
    ['ISO IR6', 'M\xc3\x9cLLER', 'MÜLLER'],
    ['""', 'M\xc3\x9cLLER', 'MÜLLER'],
    ['ISO IR6~ISO IR87', 'YAMADA', 'YAMADA'],
    ['ISO IR6~ISO IR87', '\x1b$B;3ED\x1b(B', '山田'],
    ['~ISO IR87', '\x1b$B;3ED\x1b(B', '山田'],
  ])('reads MSH-18 %s', (charset, bytes, text) => {
    const message = Buffer.from(`${MSH}||||||${charset}\rPID|||||${bytes}`, 'latin1');
    expect(readMessage(message).get('PID', 1, 5)).toBe(text);
  });

  it('takes a line of three letters for text unless it is a segment of the standard or of a site', () => {
    const message = read('OBX|1|TX|||see', 'RLL', 'nodule', 'CTA', 'last||F', 'NTE', 'Z01', 'PV1|1');
    expect(message.segments.map(({ name }) => name)).toEqual(['MSH', 'OBX', 'NTE', 'Z01', 'PV1']);
    expect(message.get('OBX', 1, 5)).toBe('see\nRLL\nnodule\nCTA\nlast');
  });

  it('puts an unescaped & of a plain text back', () => {
    expect(read('OBR|1|||MRS^Jane MRI W/&W/O CONTRAST').segment('OBR')!.text(4, 2)).toBe(
      'Jane MRI W/&W/O CONTRAST',
    );
  });

  it.each([
    ['nothing', '', 'hl7.unreadable'],
    ['no MSH', 'PID|1', 'hl7.unreadable'],
    ['a marker before MSH', '[SOM]MSH|^~\\&|A', 'hl7.unreadable'],
    ['MSH and nothing after', 'MSH', 'hl7.unreadable'],
    ['no MSH-2', 'MSH|', 'hl7.delimiters'],
    ['the same delimiter twice', 'MSH|^~\\\\&|A', 'hl7.delimiters'],
    ['letters as delimiters', 'MSHAbcdA', 'hl7.unreadable'],
    ['letters in MSH-2', 'MSH|^~ab|', 'hl7.delimiters'],
    ['two messages', `${MSH}\rPID|1\r${MSH}\rPID|2`, 'hl7.several-messages'],
    ['a segment in small letters', `${MSH}\rpid|1`, 'hl7.segment-name'],
    ['an unknown character set', `${MSH}||||||KLINGON`, 'hl7.charset'],
    ['UTF-16 by name', `${MSH}||||||UNICODE UTF-16`, 'hl7.charset'],
    ['too many segments', `${MSH}\r${'NTE|1\r'.repeat(SEGMENTS_MAX)}`, 'hl7.too-large'],
    ['too many fields', `${MSH}\rNTE${'|'.repeat(CELLS_MAX)}`, 'hl7.too-large'],
  ])('refuses %s by name', (_, text, code) => {
    expect(refusal(Buffer.from(text))).toBe(code);
  });

  it('never fails with anything but a Failure, whatever the bytes', () => {
    const random = seeded(7);
    const alphabet = 'MSHPIDABC123|^~\\&\r\n\x0b\x1c\x00éÜ"^|^|\\X\\F\\';
    for (let round = 0; round < 400; round += 1) {
      const body = Array.from({ length: 60 }, () => alphabet[Math.floor(random() * alphabet.length)]).join(
        '',
      );
      for (const start of ['', 'MSH', 'MSH|^~\\&|', `${MSH}\r`]) {
        expect(refusal(Buffer.from(start + body, random() < 0.5 ? 'utf8' : 'latin1'))).toMatch(
          /^(read|hl7\.[a-z-]+)$/,
        );
      }
    }
  });

  it('reads every segment alike, whether hl7-standard takes the message apart or there are too many for it', () => {
    const random = seeded(11);
    const cells = [
      '',
      'a',
      '^',
      '~',
      '&',
      'a^b',
      'a&b',
      'a~b',
      '^^',
      '&~&',
      'x^y&z~w',
      '\\T\\',
      'a~',
      '|',
      '|b|',
      '""',
    ];
    const line = (n: number) =>
      `OBX|${n}|${Array.from({ length: 12 }, () => cells[Math.floor(random() * cells.length)]).join('|')}`;
    const lines = Array.from({ length: 200 }, (_, n) => line(n + 1));
    const few = read(lines.join('\r'));
    const many = read(`${lines.join('\r')}\r${'NTE|1||x\r'.repeat(SEGMENTS_STANDARD_MAX)}`);
    expect(many.segments).toHaveLength(SEGMENTS_STANDARD_MAX + few.segments.length);
    for (const [at, segment] of few.segments.entries()) {
      const other = many.segments[at]!;
      expect([other.name, other.lastField]).toEqual([segment.name, segment.lastField]);
      for (let n = 1; n <= segment.lastField; n += 1) {
        const all = (one: Hl7Segment) =>
          one
            .repetitions(n)
            .map((repetition) => [1, 2, 3].map((c) => [1, 2, 3].map((s) => repetition.get(c, s))));
        expect(all(other)).toEqual(all(segment));
        expect(other.text(n, 2)).toBe(segment.text(n, 2));
      }
    }
  });

  it('reads 12 MiB in short lines, and refuses a segment of too many fields among them', () => {
    const obx = 'OBX|1|TX|59776-5^Findings^LN|1|Nothing abnormal.||||||F'.padEnd(59, '.');
    const lines = Math.ceil((12 * 1024 * 1024) / (obx.length + 1));
    const body = `${obx}\r`.repeat(lines);
    const began = performance.now();
    expect(read(body).all('OBX')).toHaveLength(lines);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(refusal(Buffer.from(`${MSH}\r${body}NTE${'|'.repeat(CELLS_MAX + 1)}`))).toBe('hl7.too-large');
  });

  it('reads a 5 MiB document in one field', () => {
    const document = 'QUJD'.repeat(1_310_720);
    expect(read(`OBX|1|ED|||X^Application^PDF^Base64^${document}`).get('OBX', 1, 5, 5)).toHaveLength(
      document.length,
    );
  });
});

describe('Building a message', () => {
  const header: Row = {
    segment: 'MSH',
    fields: { 3: 'A', 9: ['ORU', 'R01', 'ORU_R01'], 10: '1', 11: 'P', 12: '2.5.1' },
  };

  it('writes fields by number, escapes text, drops empty tails and ends each segment with CR', () => {
    const { bytes } = buildMessage([
      header,
      {
        segment: 'PID',
        fields: {
          5: ["O'NEIL & SONS", 'A|B'],
          3: { repetitions: [['1', '', '', { subcomponents: ['H', '1.2', 'ISO'] }], '2'] },
        },
      },
      { segment: 'NTE', fields: { 3: 'line\r\nbreak', 9: '' } },
    ]);
    expect(bytes.toString()).toBe(
      'MSH|^~\\&|A||||||ORU^R01^ORU_R01|1|P|2.5.1||||||UNICODE UTF-8\r' +
        "PID|||1^^^H&1.2&ISO~2||O'NEIL \\T\\ SONS^A\\F\\B\rNTE|||line\\X0D\\\\X0A\\break\r",
    );
  });

  it('keeps formatting commands only where formatted text is asked for', () => {
    const { bytes } = buildMessage([
      header,
      { segment: 'NTE', fields: { 3: 'a\\.br\\b', 4: [{ formatted: 'a|\\.br\\b\\x' }] } },
    ]);
    expect(bytes.toString()).toContain('NTE|||a\\E\\.br\\E\\b|a\\F\\\\.br\\b\\E\\x\r');
  });

  it('writes letters the character set lacks as hexadecimal or as the chosen replacement, and counts them', () => {
    const rows: Row[] = [header, { segment: 'PID', fields: { 5: ['Müller', 'Иван'] } }];
    const hex = buildMessage(rows, { charset: '8859/1' });
    expect(hex.unmapped).toBe(4);
    expect(hex.bytes.toString('latin1')).toContain('||8859/1\rPID|||||Müller^\\XD098\\\\XD0B2\\');
    expect(readMessage(hex.bytes).get('PID', 1, 5, 2)).toBe('Иван');
    const replaced = buildMessage(rows, { charset: 'ASCII', replacement: '?' });
    expect(replaced.bytes.toString('latin1')).toContain('PID|||||M?ller^????\r');
  });

  it('ends segments as the receiver wants', () => {
    const { bytes } = buildMessage([header, { segment: 'PID', fields: { 1: '1' } }], {
      trailingSeparator: true,
      finalCarriageReturn: false,
    });
    expect(bytes.toString()).toMatch(/UTF-8\|\rPID\|1\|$/);
  });

  it.each([
    ['no MSH first', [{ segment: 'PID', fields: {} }]],
    ['a segment name with a delimiter', [header, { segment: 'P|D', fields: {} }]],
    ['a field number out of range', [header, { segment: 'PID', fields: { 5000: 'x' } }]],
  ])('refuses %s', (_, rows) => {
    expect(() => buildMessage(rows as Row[])).toThrow(expect.objectContaining({ code: 'hl7.unbuildable' }));
  });

  it('reads back exactly what it built, for random cells with every delimiter, control character and astral letter', () => {
    const random = seeded(42);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
    const letters = [
      '|',
      '^',
      '~',
      '\\',
      '&',
      '\r',
      '\n',
      '\x0b',
      '\x1c',
      '\x00',
      '\x7f',
      '\x85',
      'é',
      'Я',
      '語',
      '😀',
      'a',
      '"',
      ' ',
      '\\X0D\\',
      '\\.br\\',
      '\\F\\',
      'MSH|',
    ];
    const text = () =>
      `x${Array.from({ length: 1 + Math.floor(random() * 8) }, () => pick(letters)).join('')}`;
    const some = <T>(make: () => T, max: number) =>
      Array.from({ length: 1 + Math.floor(random() * max) }, make);
    for (let round = 0; round < 300; round += 1) {
      const cells = some(() => some(() => some(() => some(text, 3), 4), 5), 6);
      const repetition = (one: string[][]): Repetition => one.map((subcomponents) => ({ subcomponents }));
      const fields = Object.fromEntries(
        cells.map((field, at) => [at + 1, { repetitions: field.map(repetition) }]),
      );
      const charset = pick(['UNICODE UTF-8', '8859/1', 'ASCII'] as const);
      const back = readMessage(buildMessage([header, { segment: 'ZZ1', fields }], { charset }).bytes).segment(
        'ZZ1',
      )!;
      const again = cells.map((field, f) =>
        field.map((one, r) =>
          one.map((component, c) => component.map((_, s) => back.get(f + 1, c + 1, s + 1, r + 1))),
        ),
      );
      expect(again).toEqual(cells);
      expect(cells.map((_, f) => back.repetitions(f + 1).length)).toEqual(cells.map((field) => field.length));
    }
  });
});

/** Mulberry32: the same cells in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
