import { describe, expect, it } from 'vitest';
import { FRAME_BYTES_MAX, frame, MllpFrameDecoder } from './mllp-frame.ts';

const VT = '\x0b';
const END = '\x1c\r';

function decode(chunks: readonly (string | Buffer)[]) {
  const oddities: string[] = [];
  const decoder = new MllpFrameDecoder({ onOddity: (kind, bytes) => oddities.push(`${kind} ${bytes}`) });
  const bodies = chunks.flatMap((chunk) => decoder.push(Buffer.from(chunk as string))).map(String);
  return { bodies, oddities, decoder };
}

describe('Cutting MLLP frames', () => {
  it('gives one body per frame, however the bytes are cut into packets', () => {
    const stream = `${VT}MSH|é one${END}${VT}MSH|two${END}${VT}${END}`;
    const bytes = Buffer.from(stream);
    for (const size of [1, 2, 3, 7, 11, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      expect(decode(chunks).bodies).toEqual(['MSH|é one', 'MSH|two', '']);
    }
  });

  it('ignores CR, LF and NUL between frames and counts other bytes', () => {
    const { bodies, oddities } = decode([`\r\n\0${VT}A${END}\r\n\0NOISE${VT}B${END}`]);
    expect(bodies).toEqual(['A', 'B']);
    expect(oddities).toEqual(['noise 5']);
  });

  it('drops a frame that lost its end when the next one starts', () => {
    for (const chunks of [[`${VT}LOST${VT}KEPT${END}`], [`${VT}LO`, 'ST', `${VT}KEPT`, END]]) {
      const { bodies, oddities } = decode(chunks);
      expect(bodies).toEqual(['KEPT']);
      expect(oddities).toEqual(['lost-end 4']);
    }
  });

  it('takes an end block without CR when the next frame follows at once or the line falls silent', () => {
    const { bodies, oddities, decoder } = decode([`${VT}A\x1c${VT}B\x1c`]);
    expect(bodies).toEqual(['A']);
    expect(decoder.awaitsCr).toBe(true);
    expect(String(decoder.endSilently())).toBe('B');
    expect(oddities).toEqual(['end-without-cr 1', 'end-without-cr 1']);
    expect(decoder.endSilently()).toBeNull();
  });

  it('keeps an FS that is followed by anything else in the body', () => {
    expect(decode([`${VT}A\x1cB${END}`]).bodies).toEqual(['A\x1cB']);
    expect(decode([`${VT}A\x1c`, `\x1c`, '\r']).bodies).toEqual(['A\x1c']);
  });

  it('refuses a frame longer than the limit, and reads one of exactly the limit', () => {
    const decoder = new MllpFrameDecoder({ bytesMax: 4 });
    expect(decoder.push(Buffer.from(`${VT}1234${END}`)).map(String)).toEqual(['1234']);
    expect(() => decoder.push(Buffer.from(`${VT}12345`))).toThrow(
      expect.objectContaining({ code: 'hl7.too-large' }),
    );
    expect(FRAME_BYTES_MAX).toBe(16_777_216);
  });

  it('cuts a 12 MiB message out of small packets without joining them again and again', () => {
    const decoder = new MllpFrameDecoder();
    const packet = Buffer.alloc(1_460, 'x');
    const started = performance.now();
    decoder.push(Buffer.from(VT));
    for (let sent = 0; sent < 12 * 1024 * 1024; sent += packet.length) decoder.push(packet);
    expect(decoder.push(Buffer.from(END))[0]!.length).toBeGreaterThanOrEqual(12 * 1024 * 1024);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('does not frame a body that holds a block character', () => {
    expect(frame(Buffer.from('A')).toString('latin1')).toBe(`${VT}A${END}`);
    expect(() => frame(Buffer.from('A\x1cB'))).toThrow(expect.objectContaining({ code: 'hl7.unbuildable' }));
  });
});
