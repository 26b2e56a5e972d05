import net from 'node:net';
import { freePort } from './free-port.ts';

/**
 * A scripted RIS: an MLLP listener that records what it gets and answers as told. It shares no code with the server, so that
 * a mistake on one side is not made on the other too.
 */

/** What the RIS does with the next messages; a bare name is done once per `script` entry. */
export type RisAction =
  | { readonly do: 'accept' }
  /** AE: try again. */
  | { readonly do: 'error' }
  /** AR: never. */
  | { readonly do: 'reject' }
  | { readonly do: 'silence' }
  | { readonly do: 'delay'; readonly ms: number }
  | { readonly do: 'close-before-ack' }
  /** AA in pieces of a few bytes. */
  | { readonly do: 'split-ack' }
  /** AA that names another message. */
  | { readonly do: 'foreign-ack' }
  /** A frame that is no acknowledgement. */
  | { readonly do: 'garbage' };

export interface RisPeer {
  readonly port: number;
  /** `mllp://127.0.0.1:<port>` */
  readonly url: URL;
  /** Every message body in order of arrival, repeats too. */
  readonly messages: readonly Buffer[];
  /** MSH-10 of messages answered with AA, in order. */
  readonly accepted: readonly string[];
  /** MSH-10 → the AA it was answered with. */
  readonly acknowledgements: ReadonlyMap<string, Buffer>;
  /** Connections opened so far. */
  readonly connections: number;
  /** Actions for the next messages, one each; after them the RIS accepts again. */
  script(...actions: RisAction[]): void;
  /** Resolves when that many messages came; rejects after `timeoutMs`. */
  waitFor(count: number, timeoutMs?: number): Promise<void>;
  /** Stops listening and cuts every connection. */
  goDown(): Promise<void>;
  /** Listens again on the same port. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a RIS on 127.0.0.1; port 0 takes a free one. */
export async function startRis(options: { port?: number } = {}): Promise<RisPeer> {
  const ris = new ScriptedRis();
  await ris.listen(options.port ?? (await freePort()));
  return ris;
}

/** Sends one message on a connection of its own and gives the answer's body. */
export function sendOrder(port: number, message: Buffer | string, timeoutMs = 10_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(framed(Buffer.from(message))));
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => fail('no answer in time'), timeoutMs);
    const fail = (why: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(why));
    };
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('closed before the answer'));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const end = bytes.indexOf(END);
      if (end < 0) return;
      clearTimeout(timer);
      resolve(bytes.subarray(bytes.indexOf(VT) + 1, end));
      socket.destroy();
    });
  });
}

/** One field of the first segment of that name, as text; enough for what a RIS looks at. */
export function fieldOf(message: Buffer, segment: string, field: number): string {
  const line = message
    .toString('utf8')
    .split('\r')
    .find((one) => one.startsWith(`${segment}|`));
  return line?.split('|')[segment === 'MSH' ? field - 1 : field] ?? '';
}

const VT = 0x0b;
const END = Buffer.of(0x1c, 0x0d);

function framed(body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(VT), body, END]);
}

class ScriptedRis implements RisPeer {
  readonly messages: Buffer[] = [];
  readonly accepted: string[] = [];
  readonly acknowledgements = new Map<string, Buffer>();
  connections = 0;
  port = 0;
  private server: net.Server | null = null;
  private readonly sockets = new Set<net.Socket>();
  private actions: RisAction[] = [];
  private waiting: (() => void)[] = [];

  get url(): URL {
    return new URL(`mllp://127.0.0.1:${this.port}`);
  }

  script(...actions: RisAction[]): void {
    this.actions.push(...actions);
  }

  async waitFor(count: number, timeoutMs = 10_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (this.messages.length < count) {
      const left = until - Date.now();
      if (left <= 0) throw new Error(`the RIS got ${this.messages.length} of ${count} messages`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  listen(port: number): Promise<void> {
    const server = net.createServer((socket) => this.accept(socket));
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        this.port = (server.address() as net.AddressInfo).port;
        resolve();
      });
    });
  }

  goDown(): Promise<void> {
    const server = this.server;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => (server === null ? resolve() : server.close(() => resolve())));
  }

  comeBack(): Promise<void> {
    return this.listen(this.port);
  }

  close(): Promise<void> {
    return this.goDown();
  }

  private accept(socket: net.Socket): void {
    this.connections += 1;
    this.sockets.add(socket);
    let buffered = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (chunk) => {
      buffered = Buffer.concat([buffered, chunk]);
      for (let end = buffered.indexOf(END); end >= 0; end = buffered.indexOf(END)) {
        this.take(socket, Buffer.from(buffered.subarray(buffered.indexOf(VT) + 1, end)));
        buffered = buffered.subarray(end + END.length);
      }
    });
  }

  private take(socket: net.Socket, message: Buffer): void {
    this.messages.push(message);
    const action = this.actions.shift() ?? { do: 'accept' };
    for (const go of this.waiting.splice(0)) go();
    const id = fieldOf(message, 'MSH', 10);
    const answer = (code: string, of = id) => framed(ackOf(message, code, of, this.messages.length));
    switch (action.do) {
      case 'error':
        socket.write(answer('AE'));
        break;
      case 'reject':
        socket.write(answer('AR'));
        break;
      case 'silence':
        break;
      case 'close-before-ack':
        socket.destroy();
        break;
      case 'foreign-ack':
        socket.write(answer('AA', `${id}X`));
        break;
      case 'garbage':
        socket.write(framed(Buffer.from('no acknowledgement')));
        break;
      case 'delay':
        setTimeout(() => this.acceptMessage(socket, id, answer('AA')), action.ms);
        break;
      case 'split-ack':
        this.accepted.push(id);
        void writeInPieces(socket, answer('AA'));
        break;
      default:
        this.acceptMessage(socket, id, answer('AA'));
    }
  }

  private acceptMessage(socket: net.Socket, id: string, answer: Buffer): void {
    if (socket.destroyed) return;
    this.accepted.push(id);
    this.acknowledgements.set(id, answer.subarray(1, -END.length));
    socket.write(answer);
  }
}

function ackOf(message: Buffer, code: string, id: string, number: number): Buffer {
  const field = (n: number) => fieldOf(message, 'MSH', n);
  const header = [
    'MSH',
    '^~\\&',
    field(5),
    field(6),
    field(3),
    field(4),
    '20260101000000',
    '',
    'ACK^R01^ACK',
    `RIS${number}`,
    'P',
    '2.5.1',
  ];
  return Buffer.from(`${header.join('|')}\rMSA|${code}|${id}\r`);
}

async function writeInPieces(socket: net.Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && !socket.destroyed; at += 7) {
    socket.write(bytes.subarray(at, at + 7));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
