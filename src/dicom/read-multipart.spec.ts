import { describe, expect, it } from 'vitest';
import { parseMediaTypes } from './media-type.ts';
import { type MultipartLimits, multipartBoundary, readMultipart } from './read-multipart.ts';

const LIMITS: MultipartLimits = { partsMax: 5, partBytesMax: 1_000, bodyBytesMax: 10_000 };

const MESSAGE = Buffer.from(
  'a preamble is skipped\r\n--b1\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--b not it\r\n--b1  \r\n\r\n\r\n--b1\r\nX-Y: z\r\n\r\n\r\n\r\n--b1--\r\nepilogue',
);

describe('multipart/related', () => {
  it.each([1, 2, 3, 7, 1000])('gives the same parts when the bytes arrive %i at a time', async (size) => {
    expect(await readAll(MESSAGE, size)).toEqual([
      [{ 'content-type': 'application/dicom' }, 'first\r\n--b not it'],
      [{}, ''],
      [{ 'x-y': 'z' }, '\r\n'],
    ]);
  });

  it('skips what the caller leaves unread, and ends the source when the caller stops', async () => {
    let ended = false;
    async function* source() {
      try {
        yield MESSAGE;
      } finally {
        ended = true;
      }
    }
    const seen: string[] = [];
    for await (const part of readMultipart(source(), 'b1', LIMITS)) {
      for await (const chunk of part.body) {
        seen.push(chunk.toString());
        break;
      }
      if (seen.length === 1) continue;
      break;
    }
    expect(seen[0]).toBe('first\r\n--b not it');
    expect(ended).toBe(true);
  });

  it.each([
    ['a body cut off inside a part', '--b1\r\n\r\nabc', 'dicom.multipart'],
    ['a body cut off inside the headers', '--b1\r\nContent-Type: x', 'dicom.multipart'],
    ['a body without any boundary', 'just text', 'dicom.multipart'],
    ['an empty body', '', 'dicom.multipart'],
    ['a header line without a colon', '--b1\r\nnonsense\r\n\r\nabc\r\n--b1--', 'dicom.multipart'],
    ['text behind a boundary', '--b1 x\r\n\r\nabc\r\n--b1--', 'dicom.multipart'],
    ['endless headers', `--b1\r\n${'A: b\r\n'.repeat(2_000)}`, 'dicom.multipart-limit'],
    ['a part over its limit', `--b1\r\n\r\n${'x'.repeat(1_001)}\r\n--b1--`, 'dicom.multipart-limit'],
    ['an endless preamble', 'x'.repeat(9_000), 'dicom.multipart-limit'],
    ['too many parts', `${'--b1\r\n\r\n\r\n'.repeat(6)}--b1--`, 'dicom.multipart-limit'],
    ['a body over its limit', `--b1\r\n\r\n${'x'.repeat(900)}`.repeat(12), 'dicom.multipart-limit'],
  ])('refuses %s', async (_what, text, code) => {
    await expect(readAll(Buffer.from(text), 500)).rejects.toMatchObject({ code });
  });

  it('reads a quoted boundary from the Content-Type', () => {
    expect(
      multipartBoundary(
        'multipart/related; type="application/dicom"; boundary="a b;c=d"'.replace('a b;', 'a b,'),
      ),
    ).toBe('a b,c=d');
  });

  it.each([
    'multipart/related',
    'multipart/form-data; boundary=x',
    'multipart/related; boundary="x "',
    `multipart/related; boundary=${'x'.repeat(71)}`,
    'text/plain',
    'multipart/related; boundary="a\r\nb"',
  ])('refuses the Content-Type %j', (type) =>
    expect(() => multipartBoundary(type)).toThrow(expect.objectContaining({ code: 'dicom.multipart' })),
  );

  it('splits an Accept header at commas outside quotes', () => {
    expect(
      parseMediaTypes(
        'multipart/related; type="application/dicom, x"; transfer-syntax=*, */*;q=0.1, nonsense',
      ),
    ).toEqual([
      { type: 'multipart/related', parameters: { type: 'application/dicom, x', 'transfer-syntax': '*' } },
      { type: '*/*', parameters: { q: '0.1' } },
    ]);
  });
});

async function readAll(message: Buffer, size: number) {
  async function* source() {
    for (let at = 0; at < message.length; at += size) yield message.subarray(at, at + size);
  }
  const parts: [Record<string, string>, string][] = [];
  for await (const part of readMultipart(source(), 'b1', LIMITS)) {
    const chunks: Buffer[] = [];
    for await (const chunk of part.body) chunks.push(Buffer.from(chunk));
    parts.push([{ ...part.headers }, Buffer.concat(chunks).toString()]);
  }
  return parts;
}
