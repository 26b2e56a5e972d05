import net from 'node:net';
import { afterEach } from 'vitest';
import { acknowledgements } from '../../src/hl7/ack.ts';
import { type MessageHandler, MllpServer, type MllpServerOptions } from '../../src/hl7/mllp-server.ts';

export const message = (id: string, text = '') =>
  Buffer.from(`MSH|^~\\&|A|B|C|D|20260115||ORU^R01|${id}|P|2.5.1\rNTE|1||${text}\r`);

export const accept: MessageHandler = async (bytes) =>
  acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' });

/** For a spec: what closes what was opened, after each test, the last one first. */
export function closing(): { close(): unknown }[] {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });
  return open;
}

/** For a spec: real servers on real sockets, and bare connections to them. */
export function mllpWorld() {
  const open = closing();
  return {
    open,
    /** Accepts every message; `events` are the kinds of what it reported. */
    async startServer(options: Partial<MllpServerOptions> = {}) {
      const events: string[] = [];
      const server = new MllpServer({
        host: '127.0.0.1',
        port: 0,
        onMessage: accept,
        onEvent: (event) => events.push(event.kind),
        ...options,
      });
      open.push(server);
      return { server, events, port: await server.listen() };
    },
    /** What it was answered, and whether it was closed. `from`: which of the machine's own addresses it comes from. */
    dial(port: number, from = 1) {
      const localAddress = `127.0.0.${from}`;
      const socket = net.connect({
        ...{ port, host: '127.0.0.1', localAddress },
        ...{ noDelay: true, allowHalfOpen: true },
      });
      open.push({ close: () => socket.destroy() });
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
      });
      socket.on('error', () => undefined);
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      socket.once('end', () => socket.end());
      const acks = () =>
        [...received.matchAll(/MSA\|(\w\w)\|(\w+)/g)].map((match) => `${match[1]} ${match[2]}`);
      return { socket, closed, acks };
    },
  };
}
