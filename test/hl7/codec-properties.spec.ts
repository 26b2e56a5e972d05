import { describe, expect, it } from 'vitest';
import { acknowledgements, outcomeOfFailure, readAck } from '../../src/hl7/ack.ts';
import { buildMessage, type Repetition, type Row, readMessage } from '../../src/hl7/codec.ts';
import { readHeader } from '../../src/hl7/message-header.ts';
import { MllpFrameDecoder } from '../../src/hl7/mllp-frame.ts';
import { scanMessage } from '../../src/hl7/scan-message.ts';
import { splitBatch } from '../../src/hl7/split-batch.ts';
import { Failure } from '../../src/kernel/errors.ts';

/** So long the fuzz runs in every test run; a longer search is a matter of this number. */
const FUZZ_MS = 3_000;
const ROUNDS = 400;

const header: Row = {
  segment: 'MSH',
  fields: { 3: 'A', 4: 'B', 9: ['ORU', 'R01', 'ORU_R01'], 10: '1', 11: 'P', 12: '2.5.1' },
};
const LETTERS = [
  '|',
  '^',
  '~',
  '\\',
  '&',
  '\r',
  '\n',
  '\r\n',
  '\x00',
  '\x0b',
  '\x1c',
  '\x1b',
  '\x7f',
  '\x85',
  '\u2028',
  '\ufeff',
  'é',
  'Я',
  '語',
  '😀',
  '𝔘',
  'a',
  '"',
  ' ',
  '\\X0D\\',
  '\\.br\\',
  '\\F\\',
  '\\E\\',
  'MSH|',
  'PID|',
  '#',
  '$',
  '@',
];

/** Mulberry32: a seed names its run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
type Random = () => number;
const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
const some = <T>(random: Random, max: number, make: () => T): T[] =>
  Array.from({ length: 1 + Math.floor(random() * max) }, make);
/** Never empty and never blank at its end: empty tails are not written, and the standard does not tell them from absent ones. */
const text = (random: Random) => `x${some(random, 8, () => pick(random, LETTERS)).join('')}.`;
/** Fields → repetitions → components → subcomponents. */
const cells = (random: Random) =>
  some(random, 6, () => some(random, 5, () => some(random, 4, () => some(random, 3, () => text(random)))));

describe('What is built is read again', () => {
  it.each(['UNICODE UTF-8', '8859/1', 'ASCII'] as const)('cell by cell, in %s', (charset) => {
    for (let seed = 1; seed <= ROUNDS; seed += 1) {
      const random = seeded(seed);
      const wanted = cells(random);
      const fields = Object.fromEntries(
        wanted.map((field, at) => [
          at + 1,
          { repetitions: field.map((one): Repetition => one.map((subcomponents) => ({ subcomponents }))) },
        ]),
      );
      const { bytes } = buildMessage([header, { segment: 'ZZ1', fields }, { segment: 'ZZ2', fields }], {
        charset,
      });
      const message = readMessage(bytes);
      expect(message.segments, `seed ${seed}`).toHaveLength(3);
      for (const name of ['ZZ1', 'ZZ2']) {
        const back = message.segment(name)!;
        const found = wanted.map((field, f) =>
          field.map((one, r) =>
            one.map((parts, c) => parts.map((_, s) => back.get(f + 1, c + 1, s + 1, r + 1))),
          ),
        );
        expect(found, `seed ${seed}`).toEqual(wanted);
      }
      expect(scanMessage(bytes).get('ZZ1', 1), `seed ${seed}`).toBe(wanted[0]![0]![0]![0]);
    }
  });

  it('also when its delimiters are exchanged for those of another sender', () => {
    for (let seed = 1; seed <= ROUNDS; seed += 1) {
      const random = seeded(seed);
      const plain = some(
        random,
        5,
        () => `x${some(random, 6, () => pick(random, ['a', '|', '^', '~', '&', '\\', 'é', '😀'])).join('')}`,
      );
      // Foreign delimiters are all others than ours, so our own five are letters there.
      const foreign = `MSH#$%*@#A#B#C#D#2026##ORU$R01#1#P#2.5.1\rZZ1#${plain.join('$')}\r`;
      const message = readMessage(Buffer.from(foreign));
      expect(
        plain.map((_, at) => message.get('ZZ1', 1, 1, at + 1)),
        `seed ${seed}`,
      ).toEqual(plain);
      expect(
        plain.map((_, at) => scanMessage(Buffer.from(foreign)).get('ZZ1', 1, at + 1)),
        `seed ${seed}`,
      ).toEqual(plain);
    }
  });
});

describe('Whatever the bytes are', () => {
  const GOOD = buildMessage([
    header,
    { segment: 'PID', fields: { 3: ['7', '', '', 'H'], 5: ['DOE', 'JANE'] } },
  ]).bytes;

  /** A message with bytes changed, taken out, doubled and put in; or nothing but noise. */
  function hostile(random: Random): Buffer {
    const start = random() < 0.2 ? Buffer.from('FHS|^~\\&|\rBHS|^~\\&|\r') : Buffer.alloc(0);
    let bytes =
      random() < 0.1
        ? Buffer.alloc(40)
        : Buffer.concat([start, GOOD, random() < 0.3 ? GOOD : Buffer.alloc(0)]);
    for (let n = 1 + Math.floor(random() * 12); n > 0; n -= 1) {
      const at = Math.floor(random() * bytes.length);
      const piece = Buffer.from(
        random() < 0.5 ? pick(random, LETTERS) : String.fromCharCode(Math.floor(random() * 256)),
        random() < 0.5 ? 'latin1' : 'utf8',
      );
      const cut = Math.floor(random() * 4);
      bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + cut)]);
    }
    return bytes;
  }

  const failureOf = (run: () => unknown): unknown => {
    try {
      run();
      return null;
    } catch (error) {
      return error;
    }
  };

  it(
    `nothing but a named refusal comes out, in ${FUZZ_MS / 1_000} seconds of fuzz`,
    () => {
      // A run has its own seed; the message of a failure names it.
      const first = Math.floor(Date.now() / 1_000);
      const ends = performance.now() + FUZZ_MS;
      let seed = first;
      for (; performance.now() < ends; seed += 1) {
        const random = seeded(seed);
        const bytes = hostile(random);
        for (const message of splitBatch(bytes)) {
          const [scanned, parsed] = [() => scanMessage(message), () => readMessage(message)].map(failureOf);
          for (const error of [scanned, parsed])
            if (error !== null && !(error instanceof Failure)) expect.fail(`seed ${seed}: ${String(error)}`);
          // What the codec refuses for its form, the door has refused before it.
          expect((scanned as Failure | null)?.code, `seed ${seed}`).toBe((parsed as Failure | null)?.code);
          const context = { now: new Date(0), controlId: 'A1' };
          const outcome = parsed === null ? ({ kind: 'accept' } as const) : outcomeOfFailure(parsed);
          for (const ack of acknowledgements(message, outcome, context)) {
            const wanted = readHeader(message)?.field(10) ?? '';
            expect(readAck(ack)?.controlId, `seed ${seed}`).toBe(wanted);
          }
        }
        const decoder = new MllpFrameDecoder({ bytesMax: 100_000 });
        expect(
          failureOf(() => decoder.push(Buffer.concat([Buffer.of(0x0b), bytes, Buffer.of(0x1c, 0x0d)]))),
          `seed ${seed}`,
        ).toBeNull();
      }
      expect(seed - first).toBeGreaterThan(200);
    },
    FUZZ_MS + 20_000,
  );
});
