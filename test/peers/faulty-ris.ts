import { createHash } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { freePort } from './free-port.ts';
import { fieldOf } from './ris.ts';

/** What a receiver does wrong with a message that it sees for the first time. */
export type RisFault =
  | 'none'
  | 'slow-ack'
  | 'late-ack'
  | 'no-ack'
  | 'error'
  | 'reject'
  | 'foreign-ack'
  | 'unreadable-ack'
  | 'torn-ack'
  | 'drip-ack'
  | 'two-acks'
  | 'close-unread'
  | 'close-before-ack'
  | 'reset-before-ack'
  | 'close-after-ack'
  | 'stops-reading'
  | 'enhanced';

export interface FaultyRisOptions {
  readonly fault: RisFault;
  /** Every so many messages. */
  readonly every: number;
  /** Longer than the sender waits. */
  readonly lateMs: number;
  readonly tls?: tls.TlsOptions;
}

export interface RisTally {
  readonly received: number;
  /** Control ids whose effect the receiver has. */
  readonly applied: ReadonlySet<string>;
  readonly rejected: ReadonlySet<string>;
  /** Came again after its answer was lost: allowed on the wire, and recognised by MSH-10. */
  readonly repeats: number;
  /** Came again with other bytes: the receiver would not know it. */
  readonly changed: number;
  readonly disordered: number;
  /** Messages of one lane on the way at the same time. */
  readonly inFlightMax: number;
  /** CA that answered our application acknowledgements. */
  readonly commits: number;
}

interface Lane {
  next: number;
  readonly open: Map<net.Socket, number>;
}

/**
 * A receiver that keeps books. Control ids are `<lane>-<number>`: within a lane number n may only come when n-1 was applied or rejected.
 * It recognises repeats by MSH-10, as a receiver must.
 */
export class FaultyRis {
  port = 0;
  private server: net.Server | null = null;
  private readonly sockets = new Set<net.Socket>();
  private readonly lanes = new Map<string, Lane>();
  private readonly digests = new Map<string, string>();
  private readonly applied = new Set<string>();
  private readonly rejected = new Set<string>();
  private received = 0;
  private repeats = 0;
  private changed = 0;
  private disordered = 0;
  private inFlightMax = 0;
  private commits = 0;

  constructor(private options: FaultyRisOptions) {}

  get tally(): RisTally {
    const { received, applied, rejected, repeats, changed, disordered, inFlightMax, commits } = this;
    return { received, applied, rejected, repeats, changed, disordered, inFlightMax, commits };
  }

  /** From now on it behaves so, and counts anew. */
  begin(options: Omit<FaultyRisOptions, 'tls'>): void {
    this.options = { ...options, ...(this.options.tls ? { tls: this.options.tls } : {}) };
    for (const counted of [this.lanes, this.digests, this.applied, this.rejected]) counted.clear();
    this.received = this.repeats = this.changed = this.disordered = this.inFlightMax = this.commits = 0;
  }

  /** `other`: a certificate that the sender does not trust. */
  async listen(other?: tls.TlsOptions): Promise<void> {
    const { tls: own } = this.options;
    const take = (socket: net.Socket) => this.accept(socket);
    const server = own ? tls.createServer(other ?? own, take) : net.createServer(take);
    server.on('tlsClientError', () => undefined);
    this.server = server;
    if (this.port === 0) this.port = await freePort();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.port, '127.0.0.1', resolve);
    });
  }

  close(): Promise<void> {
    const { server } = this;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => (server === null ? resolve() : server.close(() => resolve())));
  }

  private accept(socket: net.Socket): void {
    this.sockets.add(socket);
    let held: Buffer[] = [];
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.sockets.delete(socket);
      for (const lane of this.lanes.values()) lane.open.delete(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      held.push(chunk);
      // A large message comes in hundreds of pieces: they are joined once.
      if (!chunk.includes(0x1c)) return;
      let rest = Buffer.concat(held);
      for (let end = rest.indexOf(0x1c); end >= 0; end = rest.indexOf(0x1c)) {
        this.take(socket, Buffer.from(rest.subarray(rest.indexOf(0x0b) + 1, end)));
        rest = rest.subarray(end + 2);
      }
      held = rest.length === 0 ? [] : [rest];
    });
  }

  private take(socket: net.Socket, message: Buffer): void {
    if (fieldOf(message, 'MSA', 1) === 'CA') {
      this.commits += 1;
      return;
    }
    const id = fieldOf(message, 'MSH', 10);
    const [name = '', digits = '0'] = id.split('-');
    const number = Number(digits);
    const lane = this.lanes.get(name) ?? { next: 1, open: new Map() };
    this.lanes.set(name, lane);
    this.received += 1;
    lane.open.set(socket, number);
    this.inFlightMax = Math.max(this.inFlightMax, lane.open.size);
    const digest = createHash('sha256').update(message).digest('hex');
    const known = this.digests.get(id);
    this.digests.set(id, digest);
    if (known !== undefined) {
      this.repeats += 1;
      if (known !== digest) this.changed += 1;
    } else if (number !== lane.next) this.disordered += 1;
    const fault =
      known === undefined && this.digests.size % this.options.every === 0 ? this.options.fault : 'none';
    const apply = () => {
      this.applied.add(id);
      lane.next = Math.max(lane.next, number + 1);
    };
    const reject = () => {
      this.rejected.add(id);
      lane.next = Math.max(lane.next, number + 1);
    };
    FAULTS[fault]({
      socket,
      id,
      lateMs: this.options.lateMs,
      apply,
      reject,
      answer: this.answerer(socket, lane, id),
    });
  }

  /** Writes an answer. */
  private answerer(socket: net.Socket, lane: Lane, id: string) {
    return (code: string, { of = id, drip = false, asks = '' }: AnswerHow = {}) => {
      lane.open.delete(socket);
      if (socket.destroyed) return;
      if (drip) void writeByteByByte(socket, ackFrame(code, of));
      else socket.write(ackFrame(code, of, asks));
    };
  }
}

interface AnswerHow {
  readonly of?: string;
  readonly drip?: boolean;
  /** MSH-15. */
  readonly asks?: string;
}

interface Taken {
  readonly socket: net.Socket;
  readonly id: string;
  readonly lateMs: number;
  readonly apply: () => void;
  readonly reject: () => void;
  readonly answer: (code: string, how?: AnswerHow) => void;
}

const ackFrame = (code: string, id: string, asks = '') =>
  `\x0bMSH|^~\\&|R|R|P|P|20260101||ACK^R01|A${id}|P|2.5.1|||${asks}\rMSA|${code}|${id}\r\x1c\r`;

async function writeByteByByte(socket: net.Socket, text: string): Promise<void> {
  for (const letter of text) {
    if (socket.destroyed) return;
    socket.write(letter);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const SLOW_MS = 50;

const FAULTS: Readonly<Record<RisFault, (taken: Taken) => void>> = {
  none: ({ apply, answer }) => {
    apply();
    answer('AA');
  },
  'slow-ack': ({ apply, answer }) => {
    apply();
    setTimeout(() => answer('AA'), SLOW_MS);
  },
  'late-ack': ({ apply, answer, lateMs }) => {
    apply();
    setTimeout(() => answer('AA'), lateMs);
  },
  'no-ack': ({ apply }) => apply(),
  error: ({ answer }) => answer('AE'),
  reject: ({ reject, answer }) => {
    reject();
    answer('AR');
  },
  'foreign-ack': ({ apply, answer, id }) => {
    apply();
    answer('AA', { of: `${id}X` });
  },
  'unreadable-ack': ({ apply, socket }) => {
    apply();
    socket.write('\x0bno acknowledgement\x1c\r');
  },
  'torn-ack': ({ apply, socket, id }) => {
    apply();
    socket.write(ackFrame('AA', id).slice(0, 40), () => socket.destroy());
  },
  'drip-ack': ({ apply, answer }) => {
    apply();
    answer('AA', { drip: true });
  },
  'two-acks': ({ apply, answer }) => {
    apply();
    answer('AA');
    answer('AA');
  },
  'close-unread': ({ socket }) => socket.destroy(),
  'close-before-ack': ({ apply, socket }) => {
    apply();
    socket.destroy();
  },
  'reset-before-ack': ({ apply, socket }) => {
    apply();
    if (socket instanceof tls.TLSSocket) socket.destroy();
    else socket.resetAndDestroy();
  },
  'close-after-ack': ({ apply, answer, socket }) => {
    apply();
    answer('AA');
    socket.end();
  },
  // Enhanced mode: stored, then applied; and its own acknowledgement asks for one.
  enhanced: ({ apply, answer }) => {
    answer('CA');
    setTimeout(() => {
      apply();
      answer('AA', { asks: 'AL' });
    }, SLOW_MS / 10);
  },
  'stops-reading': ({ apply, answer, socket, lateMs }) => {
    apply();
    socket.pause();
    answer('AA');
    setTimeout(() => socket.resume(), lateMs / 2);
  },
};

export const RIS_FAULTS = Object.keys(FAULTS) as readonly RisFault[];
