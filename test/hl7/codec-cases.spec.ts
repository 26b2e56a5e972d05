import { describe, expect, it } from 'vitest';
import { readAck } from '../../src/hl7/ack.ts';
import { buildMessage, type Hl7Message, type Row, readMessage } from '../../src/hl7/codec.ts';
import { scanMessage } from '../../src/hl7/scan-message.ts';
import { splitBatch } from '../../src/hl7/split-batch.ts';
import { Failure } from '../../src/kernel/errors.ts';

const MSH = 'MSH|^~\\&|SEND|HOSP|RECV|HOSP|20260115101522||ORU^R01^ORU_R01|1|P|2.5.1';
const bytes = (...lines: string[]) => Buffer.from([MSH, ...lines].join('\r'));
const read = (...lines: string[]) => readMessage(bytes(...lines));
const field = (text: string, n = 5) => read(`PID|1||7||${text}`).segment('PID')!.get(n);
const segments = (message: Hl7Message) => message.segments.map((one) => one.name).join(' ');
const header: Row = { segment: 'MSH', fields: { 3: 'A', 9: ['ORU', 'R01'], 10: '1', 11: 'P', 12: '2.5.1' } };
/** What a field says after it was built and read again. */
const again = (row: Row) => readMessage(buildMessage([header, row]).bytes).segment(row.segment)!;
/** The same cells, built from what was read. */
const rebuilt = (line: string): string => {
  const segment = read(line).segments[1]!;
  const fields: Record<number, Row['fields'][number]> = {};
  for (let n = 1; n <= segment.lastField; n += 1) {
    const repetitions = segment.repetitions(n).map((_, r) =>
      Array.from({ length: 6 }, (_, c) => ({
        subcomponents: Array.from({ length: 4 }, (_, s) => segment.get(n, c + 1, s + 1, r + 1)),
      })),
    );
    fields[n] = { repetitions };
  }
  return buildMessage([header, { segment: segment.name, fields }])
    .bytes.toString()
    .split('\r')[1]!;
};
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof Failure ? error.code : `not a Failure: ${String(error)}`;
  }
  return 'read';
};

/** One row a case: what is done, and its only right outcome. */
const CASES: readonly (readonly [name: string, run: () => unknown, outcome: unknown])[] = [
  // Escapes
  ['the escape of the field separator', () => field('a\\F\\b'), 'a|b'],
  ['the escape of the component separator', () => field('a\\S\\b'), 'a^b'],
  ['the escape of the subcomponent separator', () => field('a\\T\\b'), 'a&b'],
  ['the escape of the repetition separator', () => field('a\\R\\b'), 'a~b'],
  ['the escape of the escape', () => field('a\\E\\b'), 'a\\b'],
  ['hexadecimal line ends', () => field('a\\X0D0A\\b'), 'a\r\nb'],
  ['hexadecimal UTF-8', () => field('caf\\XC3A9\\'), 'café'],
  ['a line break command is kept', () => field('a\\.br\\b'), 'a\\.br\\b'],
  ['highlighting is kept', () => field('\\H\\bold\\N\\'), '\\H\\bold\\N\\'],
  [
    'escapes are written as they were',
    () => rebuilt('PID|1||a\\F\\b\\E\\c\\T\\d'),
    'PID|1||a\\F\\b\\E\\c\\T\\d',
  ],
  [
    'text with every delimiter is built and read',
    () => again({ segment: 'PID', fields: { 5: 'a|b^c&d~e\\f' } }).get(5),
    'a|b^c&d~e\\f',
  ],
  [
    'text with a delimiter does not tear the message',
    () => again({ segment: 'PID', fields: { 5: 'x|y', 8: 'F' } }).get(8),
    'F',
  ],
  ['an escape that never ends is text', () => field('a\\Fb'), 'a\\Fb'],
  ['an escaped escape is resolved once', () => field('\\E\\F\\E\\'), '\\F\\'],
  // Structure
  ['the second repetition', () => read('PID|1||A^^^H~B^^^K').segment('PID')!.get(3, 4, 1, 2), 'K'],
  ['a subcomponent', () => read('PID|1||A^^^H&1.2&ISO').segment('PID')!.get(3, 4, 2), '1.2'],
  [
    'repetitions, components and subcomponents are built as they were',
    () => rebuilt('PID|1||A^B&C~D^E&F'),
    'PID|1||A^B&C~D^E&F',
  ],
  ['subcomponents without components are built as they were', () => rebuilt('PID|1||A&B'), 'PID|1||A&B'],
  ['a field of a subcomponent separator alone is empty', () => field('&'), ''],
  [
    'a field of a repetition separator alone has two empty repetitions',
    () => read('PID|1||7||~').segment('PID')!.repetitions(5).length,
    2,
  ],
  [
    'a mixed field of separators only is empty',
    () => ['^^^', '~', '&'].map((text) => field(text)),
    ['', '', ''],
  ],
  ['an absent field', () => read('PID|1').get('PID', 1, 30), ''],
  ['an absent component', () => read('PID|1||7').get('PID', 1, 3, 9), ''],
  ['an absent subcomponent of an absent component', () => read('PID|1||7').get('PID', 1, 3, 4, 2), ''],
  ['an absent segment', () => read('PID|1').get('PV1', 1, 2), ''],
  ['a segment number past the end', () => read('PID|1').segment('PID', 9), undefined],
  ['a repetition number past the end', () => read('PID|1||7').get('PID', 1, 3, 1, 1, 9), ''],
  ['the delete mark is told from an empty field', () => [field('""'), field('')], ['""', '']],
  // Delimiters
  ['MSH-1', () => read('PID|1').get('MSH', 1, 1), '|'],
  ['MSH-2', () => read('PID|1').get('MSH', 1, 2), '^~\\&'],
  [
    'a field separator of the sender',
    () => readMessage(Buffer.from(`${MSH}\rPID|1||7^8`.replaceAll('|', '#'))).get('PID', 1, 3, 2),
    '8',
  ],
  [
    'all delimiters of the sender',
    () =>
      readMessage(Buffer.from('MSH*:;!@*A*B*C*D*2026**ORU:R01*1*P*2.3\rPID***1:2@3;4')).get(
        'PID',
        1,
        3,
        2,
        2,
      ),
    '3',
  ],
  [
    'the sender’s own MSH-2 is remembered',
    () => readMessage(Buffer.from('MSH|:~\\&|A|B|C|D|2026||ORU:R01|1|P|2.3\rPID|||1')).get('MSH', 1, 2),
    ':~\\&',
  ],
  [
    'five characters in MSH-2',
    () => readMessage(Buffer.from('MSH|^~\\&#|A|B|C|D|2026||ORU^R01|1|P|2.7\rPID|||a#b')).get('PID', 1, 3),
    'a#b',
  ],
  // Lines
  ['CR', () => segments(readMessage(Buffer.from(`${MSH}\rPID|1\rPV1|1\r`))), 'MSH PID PV1'],
  ['LF', () => segments(readMessage(Buffer.from(`${MSH}\nPID|1\nPV1|1\n`))), 'MSH PID PV1'],
  ['CR LF', () => segments(readMessage(Buffer.from(`${MSH}\r\nPID|1\r\nPV1|1\r\n`))), 'MSH PID PV1'],
  [
    'one stray LF among CR separates too',
    () => segments(readMessage(Buffer.from(`${MSH}\rPID|1\nPV1|1\r`))),
    'MSH PID PV1',
  ],
  ['a few LF inside OBX-5 are text', () => read('OBX|1|TX|||a\nb\nc||A').get('OBX', 1, 5), 'a\nb\nc'],
  [
    'more LF inside OBX-5 than segments are text',
    () => read(`OBX|1|TX|||${'x\n'.repeat(20)}y`).get('OBX', 1, 5),
    `${'x\n'.repeat(20)}y`,
  ],
  ['MSH alone without a line end', () => segments(readMessage(Buffer.from(MSH))), 'MSH'],
  ['a start block before MSH', () => segments(readMessage(Buffer.from(`\x0b${MSH}\rPID|1`))), 'MSH PID'],
  ['line ends before MSH', () => segments(readMessage(Buffer.from(`\r\n${MSH}\rPID|1`))), 'MSH PID'],
  ['a segment in small letters is refused', () => code(() => read('pid|1')), 'hl7.segment-name'],
  ['a segment name alone is a segment', () => segments(read('ZXX', 'PID|1')), 'MSH ZXX PID'],
  [
    'a line that is no segment belongs to the field before',
    () => read('NTE|1||one', 'two').get('NTE', 1, 3),
    'one\ntwo',
  ],
  [
    'segments out of order stay so',
    () => segments(read('OBX|1', 'NTE|1', 'PID|1', 'OBX|2')),
    'MSH OBX NTE PID OBX',
  ],
  ['Z segments', () => read('ZDS|1.2.3^H^Application^DICOM').get('ZDS', 1, 1, 4), 'DICOM'],
  // Letters
  [
    'UTF-8',
    () => readMessage(Buffer.from(`${MSH}||||||UNICODE UTF-8\rPID|||||Łódź 語 😀`)).get('PID', 1, 5),
    'Łódź 語 😀',
  ],
  [
    '8859/1 by MSH-18',
    () => readMessage(Buffer.from(`${MSH}||||||8859/1\rPID|||||M\xdcLLER`, 'latin1')).get('PID', 1, 5),
    'MÜLLER',
  ],
  [
    'letters that MSH-18 does not have are refused',
    () => code(() => readMessage(Buffer.from(`${MSH}\rPID|||||M\xdcLLER`, 'latin1'))),
    'hl7.charset',
  ],
  // Size
  [
    '5 MiB in OBX-5',
    () => read(`OBX|1|ED|||A^B^C^Base64^${'QUJD'.repeat(1_310_720)}`).get('OBX', 1, 5, 5).length,
    5_242_880,
  ],
  // Several
  [
    'a batch is two messages',
    () =>
      splitBatch(Buffer.from(`FHS|^~\\&\rBHS|^~\\&\r${MSH}\rPID|1\r${MSH}\rPID|2\rBTS|2\rFTS|1`)).map((one) =>
        segments(readMessage(one)),
      ),
    ['MSH PID', 'MSH PID'],
  ],
  [
    'a line of text that starts like MSH does not cut a batch message',
    () => splitBatch(Buffer.from(`BHS|^~\\&\r${MSH}\rNTE|1||x MSH|y\rBTS|1`)).length,
    1,
  ],
  [
    'two MSH without a batch are refused',
    () => code(() => read('PID|1', MSH, 'PID|2')),
    'hl7.several-messages',
  ],
  [
    'a plain ORU is built as it was',
    () => rebuilt('OBX|1|NM|PROB^Probability^99AI|2|0.87|1^^UCUM|<0.50|H|||P|||20260115101500+0000'),
    'OBX|1|NM|PROB^Probability^99AI|2|0.87|1^^UCUM|<0.50|H|||P|||20260115101500+0000',
  ],
  [
    'an ACK is read',
    () =>
      readAck(Buffer.from('MSH|^~\\&|A|B|C|D|2026||ACK|9|P|2.5.1\rMSA|AE|1\rERR|||207^x^HL70357|E'))
        ?.errorCode,
    '207',
  ],
];

/**
 * The 36 matters in which the libraries that were tried differ, each with its cases: what is right is said in `CASES`.
 */
const MATTERS: Readonly<Record<string, readonly string[]>> = {
  'reading the five escapes': [
    'the escape of the field separator',
    'the escape of the component separator',
    'the escape of the subcomponent separator',
    'the escape of the repetition separator',
    'the escape of the escape',
  ],
  'reading hexadecimal bytes': ['hexadecimal line ends'],
  'reading hexadecimal UTF-8': ['hexadecimal UTF-8'],
  'formatting commands': ['a line break command is kept', 'highlighting is kept'],
  'escapes through reading and building': [
    'escapes are written as they were',
    'an escape that never ends is text',
    'an escaped escape is resolved once',
  ],
  'building text with delimiters': [
    'text with every delimiter is built and read',
    'text with a delimiter does not tear the message',
  ],
  repetitions: ['the second repetition'],
  subcomponents: ['a subcomponent'],
  'repetitions with components with subcomponents': [
    'repetitions, components and subcomponents are built as they were',
  ],
  'A&B without a component separator': ['subcomponents without components are built as they were'],
  'a field of & alone': ['a field of a subcomponent separator alone is empty'],
  'own delimiters in MSH-1 and MSH-2': ['a field separator of the sender', 'all delimiters of the sender'],
  'own delimiters in MSH-2 alone': ['the sender’s own MSH-2 is remembered'],
  'five characters in MSH-2': ['five characters in MSH-2'],
  'line ends': ['CR', 'LF', 'CR LF'],
  'one stray LF among CR': ['one stray LF among CR separates too'],
  'a few LF in OBX-5': ['a few LF inside OBX-5 are text'],
  'more LF in OBX-5 than segments': ['more LF inside OBX-5 than segments are text'],
  'MSH alone': ['MSH alone without a line end'],
  'bytes before MSH': ['a start block before MSH', 'line ends before MSH'],
  'reading MSH-1 and MSH-2': ['MSH-1', 'MSH-2'],
  'the delete mark': ['the delete mark is told from an empty field'],
  'what is absent': [
    'an absent field',
    'an absent component',
    'an absent subcomponent of an absent component',
    'an absent segment',
  ],
  'a segment past the end': ['a segment number past the end'],
  'a repetition past the end': ['a repetition number past the end'],
  'letters beyond ASCII': ['UTF-8'],
  'bytes in the character set of MSH-18': [
    '8859/1 by MSH-18',
    'letters that MSH-18 does not have are refused',
  ],
  '5 MiB in one field': ['5 MiB in OBX-5'],
  'segments out of order': ['segments out of order stay so'],
  'Z segments': ['Z segments'],
  'a segment name in small letters': ['a segment in small letters is refused'],
  'lines without a separator': [
    'a segment name alone is a segment',
    'a line that is no segment belongs to the field before',
  ],
  batches: ['a batch is two messages', 'a line of text that starts like MSH does not cut a batch message'],
  'two MSH without a batch': ['two MSH without a batch are refused'],
  'fields of separators only': [
    'a mixed field of separators only is empty',
    'a field of a repetition separator alone has two empty repetitions',
  ],
  'a plain ORU, and its answer': ['a plain ORU is built as it was', 'an ACK is read'],
};

describe('The 57 cases that tell HL7 libraries apart', () => {
  for (const [matter, names] of Object.entries(MATTERS))
    describe(matter, () => {
      it.each(CASES.filter(([name]) => names.includes(name)))('%s', (_, run, outcome) => {
        expect(run()).toEqual(outcome);
      });
    });

  it('are 57', () => {
    expect(CASES).toHaveLength(57);
    expect(new Set(CASES.map(([name]) => name)).size).toBe(57);
    expect(Object.keys(MATTERS)).toHaveLength(36);
    expect(Object.values(MATTERS).flat().toSorted()).toEqual(CASES.map(([name]) => name).toSorted());
  });
});

describe('MSH-18', () => {
  /** Table 0211 → a name in the bytes of its character set. */
  const NAMES: readonly (readonly [charset: string, bytes: readonly number[], text: string])[] = [
    ['8859/1', [0xdc], 'Ü'],
    ['8859/2', [0xa3], 'Ł'],
    ['8859/3', [0xa1], 'Ħ'],
    ['8859/4', [0xa9], 'Š'],
    ['8859/5', [0xb8], 'И'],
    ['8859/6', [0xc7], 'ا'],
    ['8859/7', [0xd3], 'Σ'],
    ['8859/8', [0xe0], 'א'],
    ['8859/9', [0xdd], 'İ'],
    ['8859/15', [0xa4], '€'],
    ['UNICODE', [0xc3, 0x9c], 'Ü'],
    ['UNICODE UTF-8', [0xc3, 0x9c], 'Ü'],
    ['ISO IR87', [0x1b, 0x24, 0x42, 0x3b, 0x33, 0x45, 0x44, 0x1b, 0x28, 0x42], '山田'],
    ['GB 18030-2000', [0xcd, 0xf5], '王'],
    ['KS X 1001', [0xb1, 0xe8], '김'],
    ['BIG-5', [0xa4, 0xfd], '王'],
  ];

  it.each(NAMES)('%s is read, by the door and by the codec', (charset, letters, text) => {
    const message = Buffer.concat([
      Buffer.from(`${MSH}||||||${charset}\rPID|||7||`),
      Buffer.from(letters),
      Buffer.from('^X'),
    ]);
    expect(readMessage(message).get('PID', 1, 5)).toBe(text);
    expect(scanMessage(message).get('PID', 5)).toBe(text);
  });

  /** 山田 by the escapes of ISO 2022: its bytes in between are those of ";3ED". */
  const YAMADA = [0x1b, 0x24, 0x42, 0x3b, 0x33, 0x45, 0x44, 0x1b, 0x28, 0x42];

  it.each([
    ['ASCII~ISO IR87', YAMADA, '山田'],
    ['~ISO IR87', YAMADA, '山田'],
    ['ISO IR14~ISO IR87', YAMADA, '山田'],
    ['~ISO IR87~ISO IR159', YAMADA, '山田'],
    // Nothing switches: the first one holds.
    ['8859/1~ISO IR87', [0xdc], 'Ü'],
    ['UNICODE UTF-8~8859/1', [0xc3, 0x9c], 'Ü'],
  ] as const)('%s: the message begins in the first and switches to the others', (charset, letters, text) => {
    const message = Buffer.concat([
      Buffer.from(`${MSH}||||||${charset}\rPID|||7||`),
      Buffer.from(letters),
      Buffer.from('^X'),
    ]);
    expect(readMessage(message).get('PID', 1, 5)).toBe(text);
    expect(scanMessage(message).get('PID', 5)).toBe(text);
  });

  it('a message that switches to a character set that is not read is refused, not filed with other letters', () => {
    // KS X 1001 by ISO 2022: ESC $ ) C, then SO and SI.
    const message = Buffer.concat([
      Buffer.from(`${MSH}||||||ASCII~ISO IR149\rPID|||7||`),
      Buffer.from([0x1b, 0x24, 0x29, 0x43, 0x0e, 0x31, 0x68, 0x0f]),
    ]);
    expect(code(() => readMessage(message))).toBe('hl7.charset');
    expect(code(() => scanMessage(message))).toBe('hl7.charset');
  });

  it('a letter whose second byte looks like a delimiter does not cut its field', () => {
    // 0xA5 0x7C is one letter in BIG-5; 0x7C alone is the field separator.
    const message = Buffer.concat([
      Buffer.from(`${MSH}||||||BIG-5\rPID|||7||`),
      Buffer.from([0xa5, 0x7c]),
      Buffer.from('|end'),
    ]);
    expect(readMessage(message).get('PID', 1, 6)).toBe('end');
    expect(scanMessage(message).get('PID', 6)).toBe('end');
  });

  it.each(['UNICODE UTF-16', 'UNICODE UTF-32', 'KLINGON', '__proto__', 'constructor'])(
    '%s is refused by name',
    (charset) => {
      const message = Buffer.from(`${MSH}||||||${charset}\rPID|||7`);
      expect(code(() => readMessage(message))).toBe('hl7.charset');
      expect(code(() => scanMessage(message))).toBe('hl7.charset');
    },
  );
});
