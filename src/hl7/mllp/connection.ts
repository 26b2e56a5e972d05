import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { FRAME_BYTES_MAX, frame, MllpFrameDecoder } from '../mllp-frame.ts';
import type { ByteBudget } from './byte-budget.ts';

export interface ConnectionLimits {
  readonly frameBytesMax: number;
  /** A connection without traffic for this long is closed: a VPN that died leaves it open for ever. */
  readonly idleMs: number;
  /** An open frame without a new byte for this long is discarded with its connection. */
  readonly frameSilenceMs: number;
  /** An open frame that is not whole after this long is discarded too: a byte now and then keeps the line from being silent. */
  readonly frameMs: number;
}

/** What happened on a connection: for logs and counters. Lengths only, never content. */
export interface ConnectionEvent {
  readonly kind:
    | 'noise'
    | 'lost-end'
    | 'end-without-cr'
    | 'too-large'
    | 'torn'
    | 'stalled'
    | 'too-slow'
    | 'idle'
    | 'handler-failed'
    | 'refused-connection'
    | 'tls-failed'
    | 'listener-error';
  readonly peer: string;
  readonly bytes: number;
}

interface ConnectionOptions extends Partial<ConnectionLimits> {
  readonly onMessage: (message: Buffer, peer: string) => Promise<Buffer | readonly Buffer[]>;
  readonly onEvent?: (event: ConnectionEvent) => void;
}

export const IDLE_MS = 3_600_000;
export const FRAME_SILENCE_MS = 30_000;
/** The largest frame over a line of half a megabit a second. */
export const FRAME_MS = 300_000;
/** How long the CR after an end block may be under way before the frame counts as ended without it. */
export const MISSING_CR_MS = 250;
/** Both ends probe, so that a dead line is noticed by the system. */
export const KEEP_ALIVE_MS = 30_000;
/** Of a sender that does not wait for its answers this much is read ahead. */
export const READ_AHEAD_BYTES = 64 * 1024;

/** One accepted connection: reads frames, has them answered one after the other, writes the answers in order. */
export class MllpConnection {
  private readonly decoder: MllpFrameDecoder;
  private readonly peer: string;
  private readonly waiting: Buffer[] = [];
  /** Bytes of the messages that wait or are being answered. */
  private unanswered = 0;
  private busy = false;
  /** An answer waits for the sender to read. */
  private unread = false;
  private ended = false;
  /** The budget is used up. */
  private blocked = false;
  private frameTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionOptions,
    private readonly budget: ByteBudget,
  ) {
    this.peer = peerOf(socket);
    this.decoder = new MllpFrameDecoder({
      bytesMax: options.frameBytesMax ?? FRAME_BYTES_MAX,
      onOddity: (kind, bytes) => this.tell(kind, bytes),
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('end', () => this.onEnd());
    socket.on('timeout', () => this.onSilence());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.onClose());
    this.watch();
  }

  /** Closes as soon as nothing is under way. */
  finish(): void {
    this.ended = true;
    if (!this.busy) this.socket.destroy();
  }

  /** The budget has room again. */
  goOn(): void {
    this.blocked = false;
    this.readOn();
  }

  private onData(chunk: Buffer): void {
    try {
      for (const body of this.decoder.push(chunk)) this.enqueue(body);
    } catch {
      this.tell('too-large', chunk.length);
      this.socket.destroy();
      return;
    }
    this.account();
    // Who waits for each answer is never stopped: that costs two system calls for every message.
    const ahead = this.unanswered + this.decoder.heldBytes;
    if (this.blocked || (this.busy && (this.waiting.length > 0 || ahead > READ_AHEAD_BYTES)))
      this.socket.pause();
    this.watch();
    void this.answerWaiting();
  }

  private onEnd(): void {
    const last = this.decoder.endSilently();
    if (last !== null) this.enqueue(last);
    else if (this.decoder.isInside) this.tell('torn', 0);
    this.ended = true;
    if (this.waiting.length > 0) void this.answerWaiting();
    else if (!this.busy) this.socket.end();
  }

  private onClose(): void {
    if (this.frameTimer) clearTimeout(this.frameTimer);
    this.frameTimer = null;
    this.waiting.length = 0;
    this.budget.set(this, 0);
  }

  /** No traffic for the time `watch` set. What it means depends on where the frame stands. */
  private onSilence(): void {
    if (this.unread) {
      this.tell('idle', 0);
      this.socket.destroy();
    }
    if (this.busy || this.blocked) return;
    const body = this.decoder.endSilently();
    if (body !== null) {
      this.enqueue(body);
      this.watch();
      void this.answerWaiting();
      return;
    }
    this.tell(this.decoder.isInside ? 'stalled' : 'idle', 0);
    this.socket.destroy();
  }

  private watch(): void {
    const { decoder, options } = this;
    if (this.blocked) this.socket.setTimeout(0);
    else if (decoder.awaitsCr) this.socket.setTimeout(MISSING_CR_MS);
    else if (decoder.isInside) this.socket.setTimeout(options.frameSilenceMs ?? FRAME_SILENCE_MS);
    else this.socket.setTimeout(options.idleMs ?? IDLE_MS);
    this.watchFrame();
  }

  /** Time in which we do not read ourselves does not count. */
  private watchFrame(): void {
    const isOpen = this.decoder.isInside && !this.blocked && !this.busy;
    if (!isOpen && this.frameTimer) {
      clearTimeout(this.frameTimer);
      this.frameTimer = null;
    } else if (isOpen && !this.frameTimer) {
      this.frameTimer = setTimeout(() => {
        this.tell('too-slow', this.decoder.heldBytes);
        this.socket.destroy();
      }, this.options.frameMs ?? FRAME_MS).unref();
    }
  }

  private enqueue(body: Buffer): void {
    this.waiting.push(body);
    this.unanswered += body.length;
    // The next frame has its own time.
    if (this.frameTimer) clearTimeout(this.frameTimer);
    this.frameTimer = null;
  }

  private account(): void {
    if (this.socket.destroyed) return;
    this.blocked = !this.budget.set(this, this.unanswered + this.decoder.heldBytes);
  }

  private async answerWaiting(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let body = this.waiting.shift(); body !== undefined; body = this.waiting.shift()) {
        const answers = await this.options.onMessage(body, this.peer);
        for (const answer of Buffer.isBuffer(answers) ? [answers] : answers) await this.write(frame(answer));
        this.unanswered -= body.length;
        if (this.socket.destroyed) return;
      }
    } catch {
      // No answer is the right answer: the sender keeps the message and sends it again.
      this.tell('handler-failed', 0);
      this.socket.destroy();
      return;
    } finally {
      this.busy = false;
    }
    this.account();
    if (this.ended) this.socket.destroySoon();
    this.readOn();
  }

  private readOn(): void {
    if (this.socket.destroyed) return;
    if (!this.blocked && !this.busy && this.socket.isPaused()) this.socket.resume();
    this.watch();
  }

  private write(bytes: Buffer): Promise<void> | void {
    if (this.socket.destroyed || this.socket.write(bytes)) return;
    this.unread = true;
    return new Promise((resolve) => {
      const go = () => {
        this.unread = false;
        this.socket.off('drain', go).off('close', go);
        resolve();
      };
      this.socket.on('drain', go).on('close', go);
    });
  }

  private tell(kind: ConnectionEvent['kind'], bytes: number): void {
    this.options.onEvent?.({ kind, peer: this.peer, bytes });
  }
}

/** Address, and over mutual TLS the common name of the certificate that was checked. */
function peerOf(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  if (!(socket instanceof TLSSocket) || !socket.authorized) return address;
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? `${address} CN=${name}` : address;
}
