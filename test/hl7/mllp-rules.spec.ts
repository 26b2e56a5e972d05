import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { acknowledgements } from '../../src/hl7/ack.ts';
import { MllpClient } from '../../src/hl7/mllp-client.ts';
import { frame } from '../../src/hl7/mllp-frame.ts';
import { type MessageHandler, MllpServer, type MllpServerOptions } from '../../src/hl7/mllp-server.ts';
import { closing } from './mllp-world.ts';

const VT = '\x0b';
const END = '\x1c\r';
const message = (id: string, text = '') =>
  `MSH|^~\\&|SEND|SITE|RECV|HOSP|20260115||ORU^R01^ORU_R01|${id}|T|2.5.1\rNTE|1||${text}\r`;
const open = closing();

/** A real server on a real socket, and what it was handed. */
async function startServer(options: Partial<MllpServerOptions> = {}) {
  const taken: string[] = [];
  const events: { kind: string; bytes?: number }[] = [];
  let answers = 0;
  const onMessage: MessageHandler = async (bytes) => {
    taken.push(bytes.toString());
    answers += 1;
    return acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: `OWN${answers}` });
  };
  const onEvent: MllpServerOptions['onEvent'] = (event) => events.push(event as { kind: string });
  const server = new MllpServer({ host: '127.0.0.1', port: 0, onMessage, onEvent, ...options });
  open.push(server);
  const port = await server.listen();
  const dial = () => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    open.push({ close: () => socket.destroy() });
    const packets: string[] = [];
    socket.on('data', (chunk) => packets.push(chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.once('end', () => socket.end());
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const acks = () => [...packets.join('').matchAll(/MSA\|(\w\w\|\w+)/g)].map(([, ack]) => ack);
    return { socket, packets, acks, closed };
  };
  return { server, taken, kinds: () => events.map(({ kind }) => kind), dial };
}

describe('The rules of MLLP, one by one', () => {
  it('Frame: VT, the message, FS CR, in bytes; letters are read when the frame is whole', async () => {
    const { taken, dial } = await startServer();
    const { socket, packets, acks } = dial();
    const bytes = Buffer.from(`${VT}${message('1', 'Müller 語 😀')}${END}`);
    // Cut in the middle of every letter.
    for (const byte of bytes) socket.write(Buffer.of(byte));
    await expect.poll(acks).toEqual(['AA|1']);
    expect(taken).toEqual([message('1', 'Müller 語 😀')]);
    expect(packets.join('').startsWith(VT)).toBe(true);
    expect(packets.join('').endsWith(END)).toBe(true);
  });

  it('Partial frame: is gathered without joining it anew, and is bound in bytes and in the time since its last byte', async () => {
    const { kinds, taken, dial } = await startServer({ frameBytesMax: 1_000, frameSilenceMs: 100 });
    const [large, silent] = [dial(), dial()];
    large.socket.write(`${VT}${'x'.repeat(1_001)}`);
    silent.socket.write(`${VT}MSH|`);
    await Promise.all([large.closed, silent.closed]);
    expect(kinds().toSorted()).toEqual(['stalled', 'too-large']);
    expect(taken).toEqual([]);
  });

  it('Several frames in one packet: each is answered, in the order in which they came', async () => {
    const { dial } = await startServer();
    const { socket, acks } = dial();
    socket.write(['1', '2', '3', '4', '5'].map((id) => `${VT}${message(id)}${END}`).join('\0'));
    await expect.poll(acks).toEqual(['AA|1', 'AA|2', 'AA|3', 'AA|4', 'AA|5']);
  });

  it('Bytes between frames: CR, LF and NUL are nothing, others are counted and never logged', async () => {
    const { kinds, taken, dial } = await startServer();
    const { socket, acks } = dial();
    socket.write(`\r\n\0${VT}${message('1')}${END}\r\n\0SECRET${VT}${message('2')}${END}`);
    await expect.poll(acks).toEqual(['AA|1', 'AA|2']);
    expect(kinds()).toEqual(['noise']);
    expect(taken.join('')).not.toContain('SECRET');
  });

  it('VT inside a body: what came before lost its end, is dropped and counted, and the next is taken', async () => {
    const { kinds, taken, dial } = await startServer();
    const { socket, acks } = dial();
    socket.write(`${VT}${message('LOST')}${VT}${message('2')}${END}`);
    await expect.poll(acks).toEqual(['AA|2']);
    expect([kinds(), taken.length]).toEqual([['lost-end'], 1]);
  });

  it('FS without CR: is an end when VT follows or the line is silent, and counted', async () => {
    const { kinds, dial } = await startServer();
    const { socket, acks } = dial();
    socket.write(`${VT}${message('1')}\x1c${VT}${message('2')}\x1c`);
    await expect.poll(acks).toEqual(['AA|1', 'AA|2']);
    expect(kinds()).toEqual(['end-without-cr', 'end-without-cr']);
  });

  it('Connection, no bytes: is a health check and no fault', async () => {
    const { server, kinds, dial } = await startServer();
    const { socket, closed } = dial();
    socket.end();
    await closed;
    await expect.poll(() => server.connectionCount).toBe(0);
    expect(kinds()).toEqual([]);
  });

  it('Missing end block at close: the torn message is never taken', async () => {
    const { kinds, taken, dial } = await startServer();
    dial().socket.end(`${VT}${message('1')}`);
    await expect.poll(kinds).toEqual(['torn']);
    expect(taken).toEqual([]);
  });

  it('ACK framing: ours leaves in one write, and one that comes in pieces is waited for', async () => {
    const { dial } = await startServer();
    const { socket, packets, acks } = dial();
    socket.write(frame(Buffer.from(message('1'))));
    await expect.poll(acks).toEqual(['AA|1']);
    expect(packets).toHaveLength(1);
    const drip = net.createServer((peer) => {
      peer.on('error', () => undefined);
      peer.on('data', async () => {
        for (const byte of Buffer.from(`${VT}MSH|^~\\&|R|H|P|R|2026||ACK|9|P|2.5.1\rMSA|AA|7\r${END}`)) {
          peer.write(Buffer.of(byte));
          await new Promise(setImmediate);
        }
      });
    });
    await new Promise<void>((resolve) => drip.listen(0, '127.0.0.1', resolve));
    const { port } = drip.address() as net.AddressInfo;
    const client = new MllpClient(new URL(`mllp://127.0.0.1:${port}`), { ackTimeoutMs: 5_000 });
    open.push({ close: () => drip.close() }, client);
    expect(await client.send(Buffer.from(message('7')), '7')).toMatchObject({ code: 'AA', controlId: '7' });
  });

  it('MSA-2: is MSH-10 as it came, sender and receiver change places, MSH-9 is ACK with the event, MSH-10 is our own', async () => {
    const { dial } = await startServer();
    const { socket, packets, acks } = dial();
    const foreign = message(' C-1 ')
      .replaceAll('|', '#')
      .replace('^~\\&', ':~\\&')
      .replace('ORU^R01^ORU_R01', 'ORU:R01:ORU_R01');
    socket.write(`${VT}${foreign}${END}${VT}${message('2')}${END}`);
    await expect.poll(acks).toContain('AA|2');
    const [first = '', second = ''] = packets.join('').split(VT).slice(1);
    const fields = (ack: string, by: string) => ack.split('\r').map((line) => line.split(by));
    const [msh, msa] = fields(first, '#');
    expect([msh?.slice(2, 6), msh?.[8], msh?.slice(10, 12)]).toEqual([
      ['RECV', 'HOSP', 'SEND', 'SITE'],
      'ACK:R01:ACK',
      ['T', '2.5.1'],
    ]);
    expect(msa).toEqual(['MSA', 'AA', ' C-1 ']);
    expect([msh?.[9], fields(second, '|')[0]?.[9]]).toEqual(['OWN1', 'OWN2']);
  });
});
