import { describe, expect, it } from 'vitest';
import { Failure } from '../kernel/errors.ts';
import { acknowledgements, outcomeOfFailure, readAck } from './ack.ts';
import { splitBatch, withoutMessageTime } from './split-batch.ts';

const context = { now: new Date('2026-01-15T10:15:22Z'), controlId: 'A17' };
const order = 'MSH|^~\\&|OE|HOSP|PRELIM|RAD|20260115||OMI^O23^OMI_O23|C1|P|2.5.1||||||8859/1\rPID|1\r';
const answers = (message: string, kind: 'accept' | 'error' | 'reject' = 'accept') =>
  acknowledgements(Buffer.from(message, 'latin1'), { kind }, context).map((ack) => ack.toString('latin1'));

describe('Acknowledging a message', () => {
  it('swaps sender and receiver and copies control id, processing id, version and character set', () => {
    expect(answers(order)).toEqual([
      'MSH|^~\\&|PRELIM|RAD|OE|HOSP|20260115101522+0000||ACK^O23^ACK|A17|P|2.5.1||||||8859/1\rMSA|AA|C1\r',
    ]);
  });

  it('answers in the delimiters of the sender with the control id byte for byte', () => {
    const foreign = 'MSH#*~!@#OE#H#P#R#2026##ORM*O01#id|\xe9!F!#P#2.3\r';
    expect(answers(foreign)[0]).toContain('#ACK*O01*ACK#A17#P#2.3\rMSA#AA#id|\xe9!F!\r');
  });

  it('names the fault in ERR, in 80 characters at most, with nothing that could break the segment', () => {
    const failure = new Failure('hl7.missing', `PID-3 | is ^ missing ${'x'.repeat(90)}`, {
      issues: [{ at: 'PID^1^3', text: '' }],
    });
    const [ack] = acknowledgements(Buffer.from(order), outcomeOfFailure(failure), context);
    const text = String(ack);
    expect(text).toMatch(/\rMSA\|AR\|C1\|PID-3 {3}is {3}missing x+\r/);
    expect(readAck(ack!)).toMatchObject({ code: 'AR', controlId: 'C1', errorCode: '101' });
    expect(readAck(ack!)!.text).toHaveLength(80);
    expect(text).toContain('\rERR||PID^1^3|101^Required field missing^HL70357|E\r');
  });

  it('asks the sender to keep the message when storing may work later', () => {
    for (const error of [new Failure('database.unavailable', 'x'), new Error('connection refused')]) {
      expect(outcomeOfFailure(error)).toMatchObject({ kind: 'error', error: { code: '207' } });
    }
  });

  it('answers even what has no header', () => {
    expect(answers('rubbish', 'reject')).toEqual([
      'MSH|^~\\&|||||20260115101522+0000||ACK^^ACK|A17|P|2.5.1\rMSA|AR\r',
    ]);
  });

  it.each([
    ['', '', 'accept', ['AA']],
    ['AL', 'NE', 'accept', ['CA']],
    ['AL', 'NE', 'reject', ['CR']],
    ['NE', 'NE', 'accept', []],
    ['AL', 'AL', 'accept', ['CA', 'AA']],
    ['ER', 'SU', 'accept', ['AA']],
    ['ER', 'SU', 'error', ['CE']],
    ['', 'AL', 'error', ['AE']],
    ['al', ' ne ', 'accept', ['CA']],
    ['""', '""', 'accept', ['AA']],
    [' ', '', 'reject', ['AR']],
    ['Y', 'Y', 'error', ['AE']],
    ['""', 'NE', 'accept', []],
  ] as const)(
    'with MSH-15 "%s" and MSH-16 "%s" answers a message to %s with %j',
    (accept, application, kind, codes) => {
      const message = `MSH|^~\\&|||||||ADT^A01|1|P|2.5|||${accept}|${application}\r`;
      const acks = answers(message, kind);
      expect(acks.map((ack) => readAck(Buffer.from(ack))!.code)).toEqual(codes);
      const ids = acks.map((ack) => ack.split('|')[9]);
      expect(new Set(ids).size).toBe(ids.length);
    },
  );
});

describe('Reading an acknowledgement', () => {
  it.each([
    ['rubbish', 'hello'],
    ['no MSA', 'MSH|^~\\&|A\r'],
    ['an unknown code', 'MSH|^~\\&|A\rMSA|OK|1\r'],
  ])('gives null for %s', (_, text) => {
    expect(readAck(Buffer.from(text))).toBeNull();
  });

  it('reads any delimiter and any line end', () => {
    expect(readAck(Buffer.from('MSH*:~\\&*A\nMSA*AE*17*later\nERR***207:x\n'))).toMatchObject({
      code: 'AE',
      controlId: '17',
      text: 'later',
      errorCode: '207',
    });
  });
});

describe('A batch in one frame', () => {
  it('is cut into its messages; headers and trailers are left out', () => {
    const batch = 'FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rPID|2\rBTS|2\rFTS|1\r';
    expect(splitBatch(Buffer.from(batch)).map(String)).toEqual([
      'MSH|^~\\&|A\rPID|1\r',
      'MSH|^~\\&|B\rPID|2\r',
    ]);
  });

  it.each([
    ['MSH (menstrual history): see above', 'MSH'],
    ['FTS 7 of 10', 'a word that is a trailer elsewhere'],
    ['BTS', 'a line that is a trailer elsewhere, with more after it'],
    ['BHSM-4 positive', 'a longer word'],
  ])('does not cut a message at its text: %s', (line) => {
    const text = `MSH|^~\\&|A\rOBX|1|TX|1||see\n${line}\nand the rest\rNTE|1||end\r`;
    const next = 'MSH|^~\\&|B\rPID|2\r';
    expect(splitBatch(Buffer.from(`BHS|^~\\&|\r${text}${next}BTS|2\r`)).map(String)).toEqual([text, next]);
  });

  it.each([
    ['a byte order mark', `\u{feff}FHS|^~\\&\r@@FTS|1\r`],
    ['line feeds, trailers without fields', 'FHS|^~\\&\nBHS|^~\\&\n@@BTS\nFTS\n\n'],
    ['wrong counts', 'FHS|^~\\&\rBHS|^~\\&\r@@BTS|77\rFTS|5\r'],
    ['two batches in a file', 'FHS|^~\\&\rBHS|^~\\&\r@BTS|1\rBHS|^~\\&\r@BTS|1\rFTS|2\r'],
    ['delimiters of its own', 'FHS#!*$%\rBHS#!*$%\r@@BTS#2\rFTS#1\r'],
    ['NULs before it', '\0\0\r\nBHS|^~\\&\r@@'],
  ])('is cut whatever stands around the messages: %s', (_, batch) => {
    const one = 'MSH|^~\\&|A\rPID|1\r';
    expect(splitBatch(Buffer.from(batch.replaceAll('@', one))).map(String)).toEqual([one, one]);
  });

  it('leaves everything else whole, also two messages without a batch header', () => {
    const two = 'MSH|^~\\&|A\rMSH|^~\\&|B\r';
    expect(splitBatch(Buffer.from(two)).map(String)).toEqual([two]);
  });
});

describe('Comparing messages without their time', () => {
  it('leaves MSH-7 out and nothing else', () => {
    const of = (time: string, id: string) =>
      withoutMessageTime(Buffer.from(`MSH|^~\\&|A|B|C|D|${time}||ACK|${id}\rPID|1`)).toString();
    expect(of('20260101', '1')).toBe(of('20260202111111', '1'));
    expect(of('20260101', '1')).toBe('MSH|^~\\&|A|B|C|D|||ACK|1\rPID|1');
    expect(of('20260101', '1')).not.toBe(of('20260101', '2'));
    expect(withoutMessageTime(Buffer.from('MSH|^~\\&|A')).toString()).toBe('MSH|^~\\&|A');
  });
});
