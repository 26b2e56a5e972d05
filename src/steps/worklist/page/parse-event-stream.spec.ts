import { describe, expect, test } from 'vitest';
import { EVENT_CHARS_MAX, eventStreamParser } from './parse-event-stream.ts';

const STREAM =
  ': hello\r\nevent: row\r\ndata: {"id":\r\ndata: "1"}\r\n\r\nid: 3\nretry: 5\ndata:no space\n\n\nevent: beat\ndata\n\nevent: unfinished\ndata: x\n';

describe('the parser of the event stream', () => {
  test('gives the same events however the stream is cut into pieces', () => {
    const expected = [
      { event: 'row', data: '{"id":\n"1"}' },
      { event: 'message', data: 'no space' },
      { event: 'beat', data: '' },
    ];
    for (let size = 1; size <= STREAM.length; size++) {
      const parse = eventStreamParser();
      const events = [];
      for (let at = 0; at < STREAM.length; at += size) events.push(...parse(STREAM.slice(at, at + size)));
      expect(events).toEqual(expected);
    }
  });

  test('refuses an event that grows without end', () => {
    const parse = eventStreamParser();
    const piece = 'x'.repeat(EVENT_CHARS_MAX / 4);
    expect(() => {
      for (let i = 0; i < 5; i++) parse(piece);
    }).toThrow('too long');
  });
});
