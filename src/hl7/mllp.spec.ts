import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { accept, message, mllpWorld } from '../../test/hl7/mllp-world.ts';
import { type RisPeer, sendOrder, startRis } from '../../test/peers/ris.ts';
import { MllpClient } from './mllp-client.ts';
import { frame, MllpFrameDecoder } from './mllp-frame.ts';

const { open, startServer, dial } = mllpWorld();

async function startPair(ackTimeoutMs = 2_000): Promise<{ ris: RisPeer; client: MllpClient }> {
  const ris = await startRis();
  const client = new MllpClient(ris.url, { ackTimeoutMs });
  open.push(ris, client);
  return { ris, client };
}

describe('The MLLP server', () => {
  it('answers frames of one packet, of many packets and with noise between, in order', async () => {
    const { port } = await startServer();
    const { socket, acks } = dial(port);
    socket.write(
      Buffer.concat([
        frame(message('1')),
        frame(message('2')),
        Buffer.from('\r\nNOISE\0'),
        frame(message('3')),
      ]),
    );
    for (const byte of frame(message('4'))) socket.write(Buffer.of(byte));
    await expect.poll(acks).toEqual(['AA 1', 'AA 2', 'AA 3', 'AA 4']);
  });

  it('works on one message at a time per connection and stops reading meanwhile', async () => {
    let running = 0;
    let most = 0;
    const release: (() => void)[] = [];
    const { port } = await startServer({
      onMessage: async (bytes, peer) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise<void>((resolve) => release.push(resolve));
        running -= 1;
        return accept(bytes, peer);
      },
    });
    const { socket, acks } = dial(port);
    const flood = frame(message('9', 'x'.repeat(1_000_000)));
    let sent = 0;
    for (let n = 0; n < 40; n += 1) socket.write(flood, () => (sent += 1));
    await expect.poll(() => release.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sent).toBeLessThan(40);
    for (let n = 0; n < 40; n += 1) {
      await expect.poll(() => release.length).toBeGreaterThan(n);
      release[n]!();
    }
    await expect.poll(() => acks().length).toBe(40);
    expect(most).toBe(1);
  });

  it('answers a sender that has already ended its side', async () => {
    const { port } = await startServer();
    const { socket, closed, acks } = dial(port);
    socket.end(frame(message('1')));
    await closed;
    expect(acks()).toEqual(['AA 1']);
  });

  it('takes an end block without CR once the line is silent', async () => {
    const { port, events } = await startServer();
    const { socket, acks } = dial(port);
    socket.write(frame(message('1')).subarray(0, -1));
    await expect.poll(acks).toEqual(['AA 1']);
    expect(events).toEqual(['end-without-cr']);
  });

  it('never hands on a torn message', async () => {
    const seen: Buffer[] = [];
    const { port, events } = await startServer({
      onMessage: async (bytes) => {
        seen.push(bytes);
        return [];
      },
      frameSilenceMs: 100,
    });
    dial(port).socket.end(frame(message('1')).subarray(0, -5));
    await expect.poll(() => events).toContain('torn');
    const stalled = dial(port);
    stalled.socket.write(frame(message('2')).subarray(0, -5));
    await stalled.closed;
    expect(events).toContain('stalled');
    expect(seen).toEqual([]);
  });

  it('closes a connection that is idle too long, sends too large a frame, or comes when all are taken', async () => {
    const { port, events } = await startServer({ idleMs: 100, frameBytesMax: 1_000, connectionsMax: 2 });
    const [idle, large] = [dial(port), dial(port)];
    await expect
      .poll(() => idle.socket.readyState === 'open' && large.socket.readyState === 'open')
      .toBe(true);
    await dial(port).closed;
    large.socket.write(frame(message('1', 'x'.repeat(2_000))));
    await Promise.all([idle.closed, large.closed]);
    expect(events).toEqual(expect.arrayContaining(['refused-connection', 'too-large', 'idle']));
  });

  it('gives no answer and closes when the handler fails, so that the sender keeps the message', async () => {
    const { port, events } = await startServer({ onMessage: () => Promise.reject(new Error('bug')) });
    const { socket, closed, acks } = dial(port);
    socket.write(frame(message('1')));
    await closed;
    expect(acks()).toEqual([]);
    expect(events).toEqual(['handler-failed']);
  });

  it('sends the answer under way before it closes', async () => {
    const { server, port } = await startServer({
      onMessage: async (bytes, peer) => {
        await new Promise((resolve) => setTimeout(resolve, 80));
        return accept(bytes, peer);
      },
    });
    const { socket, acks } = dial(port);
    socket.write(frame(message('1')));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await server.close();
    await expect.poll(acks).toEqual(['AA 1']);
  });

  it('closes a connection whose sender never reads its answers', async () => {
    const large = Buffer.alloc(8_000_000, 'x');
    const { port, events, server } = await startServer({ idleMs: 100, onMessage: async () => large });
    const { socket } = dial(port);
    socket.pause();
    socket.write(frame(message('1')));
    await expect.poll(() => events).toEqual(['idle']);
    await expect.poll(() => server.connectionCount).toBe(0);
  });

  it('does without complaint when a health check connects and says nothing', async () => {
    const { port, events, server } = await startServer();
    const { socket, closed } = dial(port);
    socket.end();
    await closed;
    await expect.poll(() => server.connectionCount).toBe(0);
    expect(events).toEqual([]);
  });
});

describe('The MLLP client', () => {
  it('sends one message after the other over one connection, also when called at once', async () => {
    const { ris, client } = await startPair(2_000);
    ris.script({ do: 'delay', ms: 30 }, { do: 'split-ack' });
    const acks = await Promise.all(['1', '2', '3'].map((id) => client.send(message(id), id)));
    expect(acks.map((ack) => `${ack.code} ${ack.controlId}`)).toEqual(['AA 1', 'AA 2', 'AA 3']);
    expect(ris.accepted).toEqual(['1', '2', '3']);
    expect(ris.connections).toBe(1);
  });

  it('gives AE and AR to the caller as they are', async () => {
    const { ris, client } = await startPair();
    ris.script({ do: 'error' }, { do: 'reject' });
    expect((await client.send(message('1'), '1')).code).toBe('AE');
    expect((await client.send(message('1'), '1')).code).toBe('AR');
  });

  it('closes the connection when no ACK comes in time, so that a late one answers nothing', async () => {
    const { ris, client } = await startPair(150);
    ris.script({ do: 'delay', ms: 220 });
    await expect(client.send(message('1'), '1')).rejects.toMatchObject({
      code: 'hl7.ack-timeout',
      retry: true,
    });
    const next = await client.send(message('2'), '2');
    expect(next.controlId).toBe('2');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(ris.accepted).toEqual(['2']);
    expect(ris.connections).toBe(2);
  });

  it.each([
    ['close-before-ack', 'hl7.connection'],
    ['foreign-ack', 'hl7.ack-foreign'],
    ['garbage', 'hl7.ack-unreadable'],
    ['silence', 'hl7.ack-timeout'],
  ] as const)('after "%s" fails with %s and opens a new connection for the next try', async (what, code) => {
    const { ris, client } = await startPair(150);
    ris.script({ do: what });
    await expect(client.send(message('1'), '1')).rejects.toMatchObject({ code, retry: true });
    expect((await client.send(message('1'), '1')).code).toBe('AA');
    expect(ris.connections).toBe(2);
  });

  it('fails while the RIS is down and goes on when it is back on the same port', async () => {
    const { ris, client } = await startPair();
    await client.send(message('1'), '1');
    await ris.goDown();
    await expect(client.send(message('2'), '2')).rejects.toMatchObject({ code: 'hl7.connection' });
    await ris.comeBack();
    expect((await client.send(message('2'), '2')).code).toBe('AA');
  });

  it('waits longer after each failure and not at all after a success', async () => {
    const { ris, client } = await startPair();
    await ris.goDown();
    const tries: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const started = performance.now();
      await client.send(message('1'), '1').catch(() => tries.push(performance.now() - started));
    }
    expect(tries).toHaveLength(4);
    expect(tries[3]!).toBeGreaterThan(150);
    await ris.comeBack();
    await client.send(message('1'), '1');
    const started = performance.now();
    await client.send(message('2'), '2');
    expect(performance.now() - started).toBeLessThan(tries[3]!);
  });

  it('pauses between messages when the receiver needs it', async () => {
    const ris = await startRis();
    const client = new MllpClient(ris.url, { minGapMs: 120 });
    open.push(ris, client);
    await client.send(message('1'), '1');
    const started = performance.now();
    await client.send(message('2'), '2');
    expect(performance.now() - started).toBeGreaterThanOrEqual(115);
  });

  it('gives a receiver that reads slowly all the time that it needs, as long as it goes on reading', async () => {
    const peer = net.createServer((socket) => {
      const decoder = new MllpFrameDecoder({ bytesMax: 30_000_000 });
      let slow = 60;
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        slow -= 1;
        if (slow > 0) socket.pause();
        if (slow > 0) setTimeout(() => socket.resume(), 20);
        for (const body of decoder.push(chunk))
          void accept(body, '').then(([ack]) => socket.write(frame(ack as Buffer)));
      });
    });
    await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
    const client = new MllpClient(new URL(`mllp://127.0.0.1:${(peer.address() as net.AddressInfo).port}`), {
      ackTimeoutMs: 700,
    });
    open.push(peer, client);
    const started = performance.now();
    // More than the system keeps for the two ends.
    expect((await client.send(message('1', 'x'.repeat(24_000_000)), '1')).code).toBe('AA');
    expect(performance.now() - started).toBeGreaterThan(1_000);
    client.close();
  });

  it('gives up a receiver that stops reading in the middle of a message', async () => {
    const peer = net.createServer((socket) => socket.on('error', () => undefined).pause());
    await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
    const client = new MllpClient(new URL(`mllp://127.0.0.1:${(peer.address() as net.AddressInfo).port}`), {
      ackTimeoutMs: 150,
    });
    open.push(peer, client);
    await expect(client.send(message('1', 'x'.repeat(12_000_000)), '1')).rejects.toMatchObject({
      code: 'hl7.ack-timeout',
    });
    client.close();
  });

  it('does not go on over a connection whose receiver answered before it had the whole message', async () => {
    const refusal = 'MSH|^~\\&|C|D|A|B|2026||ACK^R01|K1|P|2.5.1\rMSA|AR|1\r';
    let connections = 0;
    const peer = net.createServer((socket) => {
      connections += 1;
      const first = connections === 1;
      socket.on('error', () => undefined);
      socket.once('data', () => {
        if (first) socket.pause();
        socket.write(frame(Buffer.from(first ? refusal : refusal.replace('AR|1', 'AA|2'))));
      });
    });
    await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
    const client = new MllpClient(new URL(`mllp://127.0.0.1:${(peer.address() as net.AddressInfo).port}`));
    open.push(peer, client);
    expect((await client.send(message('1', 'x'.repeat(12_000_000)), '1')).code).toBe('AR');
    expect((await client.send(message('2'), '2')).code).toBe('AA');
    expect(connections).toBe(2);
    client.close();
  });

  it('sends nothing when it is closed while its connection opens', async () => {
    const { ris, client } = await startPair();
    const sent = client.send(message('1'), '1');
    const failed = expect(sent).rejects.toMatchObject({ code: 'hl7.connection' });
    await new Promise((resolve) => process.nextTick(resolve));
    client.close();
    await failed;
    await expect.poll(() => ris.connections).toBe(1);
    expect(ris.messages).toEqual([]);
  });

  it('refuses to send what cannot be framed', () => {
    const client = new MllpClient(new URL('mllp://127.0.0.1:1'));
    expect(() => client.send(Buffer.from('a\x1cb'), '1')).toThrow(
      expect.objectContaining({ code: 'hl7.unbuildable' }),
    );
  });

  it('fails what is under way when it is closed', async () => {
    const { ris, client } = await startPair(5_000);
    ris.script({ do: 'silence' });
    const sent = client.send(message('1'), '1');
    const failed = expect(sent).rejects.toMatchObject({ code: 'hl7.connection' });
    await ris.waitFor(1);
    client.close();
    await failed;
    await expect(client.send(message('2'), '2')).rejects.toMatchObject({ code: 'hl7.connection' });
  });

  it('in enhanced mode waits for the answer after the CA, and gives it the CA that it asks for', async () => {
    const heard: string[] = [];
    const peer = net.createServer((socket) => {
      const decoder = new MllpFrameDecoder();
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        for (const body of decoder.push(chunk)) {
          heard.push(String(body));
          if (!String(body).includes('|ORU^R01|')) continue;
          const answer = (code: string, id: string, asks: string) =>
            frame(Buffer.from(`MSH|^~\\&|C|D|A|B|2026||ACK^R01|${id}|P|2.5.1|||${asks}\rMSA|${code}|1\r`));
          socket.write(Buffer.concat([answer('CA', 'K1', ''), answer('AA', 'K2', 'AL')]));
        }
      });
    });
    await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
    const url = new URL(`mllp://127.0.0.1:${(peer.address() as net.AddressInfo).port}`);
    const client = new MllpClient(url, { applicationAck: true });
    open.push(peer, client);
    expect((await client.send(Buffer.from('MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|P|2.5.1\r'), '1')).code).toBe(
      'AA',
    );
    await expect.poll(() => heard.length).toBe(2);
    expect(heard[1]).toContain('MSA|CA|K2');
    expect(heard[1]?.split('|').slice(2, 6)).toEqual(['A', 'B', 'C', 'D']);
    client.close();
  });

  it('speaks to our own server, and so does the order sender of the tests', async () => {
    const { port } = await startServer();
    const client = new MllpClient(new URL(`mllp://127.0.0.1:${port}`));
    open.push(client);
    expect((await client.send(message('7'), '7')).code).toBe('AA');
    expect(String(await sendOrder(port, message('8')))).toContain('MSA|AA|8');
  });
});
