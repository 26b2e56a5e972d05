import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

/** What a sender does wrong, or what happens to it on the way. */
export type SenderFault =
  | 'none'
  | 'byte-by-byte'
  | 'noise-between'
  | 'many-in-one-packet'
  | 'sent-twice'
  | 'cut-in-the-frame'
  | 'cut-before-ack'
  | 'reset-before-ack'
  | 'half-closed'
  | 'does-not-read'
  | 'impatient'
  | 'idle-beside'
  | 'large'
  | 'enhanced'
  | 'enhanced-commit'
  | 'reused-id';

export const SENDER_FAULTS: readonly SenderFault[] = [
  'none',
  'byte-by-byte',
  'noise-between',
  'many-in-one-packet',
  'sent-twice',
  'cut-in-the-frame',
  'cut-before-ack',
  'reset-before-ack',
  'half-closed',
  'does-not-read',
  'impatient',
  'idle-beside',
  'large',
  'enhanced',
  'enhanced-commit',
  'reused-id',
];

export interface SenderOptions {
  readonly port: number;
  readonly tls?: tls.ConnectionOptions;
  readonly fault: SenderFault;
  readonly every: number;
}

export interface SenderTally {
  /** Frames on the wire. */
  readonly frames: number;
  /** MSA-1 other than AA, or MSA-2 of another message. */
  readonly wrongAnswers: number;
}

/** So long it waits for an answer before it sends again on a new connection. */
const PATIENCE_MS = 3_000;
const TRIES_MAX = 100;
const IDLE_CONNECTIONS = 64;
const PACKED = 8;

/** Sends each lane's messages on a connection of its own, in order, until each has its AA. Control ids are in MSH-10. */
export async function sendLanes(
  options: SenderOptions,
  lanes: readonly (readonly { readonly id: string; readonly bytes: Buffer }[])[],
): Promise<SenderTally> {
  const idle: net.Socket[] = [];
  if (options.fault === 'idle-beside')
    for (let n = 0; n < IDLE_CONNECTIONS; n += 1) idle.push(dial(options).on('error', () => undefined));
  const senders = lanes.map(() => new LaneSender(options));
  try {
    await Promise.all(
      lanes.map((messages, n) =>
        senders[n]?.sendAll(messages.map((one, at) => ({ ...one, number: at + 1 }))),
      ),
    );
  } finally {
    for (const socket of idle) socket.destroy();
    for (const sender of senders) sender.close();
  }
  const sum = (of: 'frames' | 'wrongAnswers') => senders.reduce((total, one) => total + one[of], 0);
  return { frames: sum('frames'), wrongAnswers: sum('wrongAnswers') };
}

interface Numbered {
  readonly id: string;
  readonly bytes: Buffer;
  readonly number: number;
}

function dial({ port, tls: secure }: SenderOptions): net.Socket {
  return secure ? tls.connect({ ...secure, port, host: '127.0.0.1' }) : net.connect(port, '127.0.0.1');
}

const framed = (bytes: Buffer) => Buffer.concat([Buffer.of(0x0b), bytes, Buffer.of(0x1c, 0x0d)]);

class LaneSender {
  frames = 0;
  wrongAnswers = 0;
  private socket: net.Socket | null = null;
  private rest = '';
  private readonly answers: string[] = [];
  private wake: () => void = () => undefined;

  constructor(private readonly options: SenderOptions) {}

  async sendAll(messages: readonly Numbered[]): Promise<void> {
    if (this.options.fault === 'many-in-one-packet') {
      for (let at = 0; at < messages.length; at += PACKED) await this.packed(messages.slice(at, at + PACKED));
      return;
    }
    for (const message of messages) {
      const faulty = message.number % this.options.every === 0;
      if (!faulty || !(await this.badly(message))) await this.well(message);
    }
  }

  close(): void {
    this.socket?.destroy();
    this.socket = null;
  }

  /** Until it is answered. */
  private async well(message: Numbered): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const socket = await this.open();
      if (socket !== null) {
        this.frames += 1;
        socket.write(framed(message.bytes));
        if (await this.answered(message.id)) return;
      }
      this.close();
      await sleep(Math.min(500, 20 * (tries + 1)));
    }
    throw new Error(`no acknowledgement of ${message.id}`);
  }

  /** All of them at once; those that stay unanswered are sent again one by one. */
  private async packed(messages: readonly Numbered[]): Promise<void> {
    const socket = await this.open();
    let done = 0;
    if (socket !== null) {
      this.frames += messages.length;
      socket.write(Buffer.concat(messages.map(({ bytes }) => framed(bytes))));
      for (; done < messages.length && (await this.answered(messages[done]?.id ?? '')); done += 1);
    }
    if (done < messages.length) this.close();
    for (const message of messages.slice(done)) await this.well(message);
  }

  /** True when it was answered all the same. */
  private async badly(message: Numbered): Promise<boolean> {
    const socket = await this.open();
    if (socket === null) return false;
    const frame = framed(message.bytes);
    this.frames += 1;
    switch (this.options.fault) {
      case 'byte-by-byte':
        for (const byte of frame) {
          socket.write(Buffer.of(byte));
          if (byte === 0x0d) await sleep(0);
        }
        return this.answered(message.id);
      case 'noise-between':
        socket.write(Buffer.concat([Buffer.from('\r\n\0 noise'), frame, Buffer.from('\n')]));
        return this.answered(message.id);
      case 'sent-twice':
        this.frames += 1;
        socket.write(frame);
        if (!(await this.answered(message.id))) return false;
        socket.write(frame);
        return this.answered(message.id);
      case 'half-closed':
        socket.end(frame);
        if (!(await this.answered(message.id))) return false;
        this.close();
        return true;
      case 'large':
      case 'enhanced':
      case 'enhanced-commit':
      case 'reused-id':
        // What is wrong, or unusual, is the message itself.
        socket.write(frame);
        return this.answered(message.id);
      case 'does-not-read':
        socket.pause();
        socket.write(frame);
        await sleep(300);
        socket.resume();
        return this.answered(message.id);
      default:
        await this.cut(socket, frame);
        return false;
    }
  }

  private async cut(socket: net.Socket, frame: Buffer): Promise<void> {
    const { fault } = this.options;
    if (fault === 'idle-beside' || fault === 'none') {
      this.frames -= 1;
      return;
    }
    const part = fault === 'cut-in-the-frame' ? frame.subarray(0, frame.length / 2) : frame;
    await new Promise<void>((resolve) => socket.write(part, () => resolve()));
    // The impatient one leaves the old connection open and sends again on another.
    if (fault === 'impatient') {
      this.socket = null;
      socket.removeAllListeners('data');
      setTimeout(() => socket.destroy(), PATIENCE_MS).unref();
      return;
    }
    if (fault === 'reset-before-ack' && !(socket instanceof tls.TLSSocket)) socket.resetAndDestroy();
    this.close();
  }

  private open(): Promise<net.Socket | null> {
    if (this.socket !== null && !this.socket.destroyed && this.socket.writable)
      return Promise.resolve(this.socket);
    const socket = dial(this.options);
    this.rest = '';
    this.answers.length = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => this.hear(String(chunk)));
    socket.on('close', () => this.wake());
    return new Promise((resolve) => {
      socket.once('close', () => resolve(null));
      socket.once(this.options.tls ? 'secureConnect' : 'connect', () => {
        this.socket = socket;
        resolve(socket);
      });
    });
  }

  private hear(text: string): void {
    const parts = (this.rest + text).split('\x1c\r');
    this.rest = parts.pop() ?? '';
    this.answers.push(...parts);
    this.wake();
  }

  private async answered(id: string): Promise<boolean> {
    const { socket } = this;
    for (const until = Date.now() + PATIENCE_MS; Date.now() < until; ) {
      const answer = this.answers.shift();
      if (answer !== undefined) {
        const [, code, of] = /\rMSA\|(\w\w)\|([^|\r]*)/.exec(answer) ?? [];
        // Enhanced mode: CA says that it is stored; where an application acknowledgement was asked for, that follows and counts.
        if (code === 'CA' && of === id && this.options.fault === 'enhanced') continue;
        if (code === (this.options.fault === 'enhanced-commit' ? 'CA' : 'AA') && of === id) return true;
        this.wrongAnswers += 1;
        return false;
      }
      if (socket === null || socket.destroyed) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, until - Date.now());
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return false;
  }
}
