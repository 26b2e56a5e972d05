import type { Socket } from 'node:net';
import { FRAME_BYTES_MAX, frame, MllpFrameDecoder } from '../mllp-frame.ts';

export interface ConnectionLimits {
  readonly frameBytesMax: number;
  /** A connection without traffic for this long is closed: a VPN that died leaves it open for ever. */
  readonly idleMs: number;
  /** An open frame without a new byte for this long is discarded with its connection. */
  readonly frameSilenceMs: number;
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
/** How long the CR after an end block may be under way before the frame counts as ended without it. */
export const MISSING_CR_MS = 250;
/** Both ends probe, so that a dead line is noticed by the system. */
export const KEEP_ALIVE_MS = 30_000;

/** One accepted connection: reads frames, has them answered one after the other, writes the answers in order. */
export class MllpConnection {
  private readonly decoder: MllpFrameDecoder;
  private readonly peer: string;
  private readonly waiting: Buffer[] = [];
  private busy = false;
  private ended = false;

  constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionOptions,
  ) {
    this.peer = socket.remoteAddress ?? '';
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
    this.watch();
  }

  /** Closes as soon as nothing is under way. */
  finish(): void {
    this.ended = true;
    if (!this.busy) this.socket.destroy();
  }

  private onData(chunk: Buffer): void {
    try {
      this.waiting.push(...this.decoder.push(chunk));
    } catch {
      this.tell('too-large', chunk.length);
      this.socket.destroy();
      return;
    }
    this.watch();
    void this.answerWaiting();
  }

  private onEnd(): void {
    const last = this.decoder.endSilently();
    if (last !== null) this.waiting.push(last);
    else if (this.decoder.isInside) this.tell('torn', 0);
    this.ended = true;
    if (this.waiting.length > 0) void this.answerWaiting();
    else if (!this.busy) this.socket.end();
  }

  /** No traffic for the time `watch` set. What it means depends on where the frame stands. */
  private onSilence(): void {
    if (this.busy) return;
    const body = this.decoder.endSilently();
    if (body !== null) {
      this.waiting.push(body);
      this.watch();
      void this.answerWaiting();
      return;
    }
    this.tell(this.decoder.isInside ? 'stalled' : 'idle', 0);
    this.socket.destroy();
  }

  private watch(): void {
    const { decoder, options } = this;
    if (decoder.awaitsCr) this.socket.setTimeout(MISSING_CR_MS);
    else if (decoder.isInside) this.socket.setTimeout(options.frameSilenceMs ?? FRAME_SILENCE_MS);
    else this.socket.setTimeout(options.idleMs ?? IDLE_MS);
  }

  private async answerWaiting(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.socket.pause();
    try {
      for (let body = this.waiting.shift(); body !== undefined; body = this.waiting.shift()) {
        const answers = await this.options.onMessage(body, this.peer);
        for (const answer of Buffer.isBuffer(answers) ? [answers] : answers) await this.write(frame(answer));
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
    if (this.ended) this.socket.destroySoon();
    this.socket.resume();
    this.watch();
  }

  private write(bytes: Buffer): Promise<void> | void {
    if (this.socket.destroyed || this.socket.write(bytes)) return;
    return new Promise((resolve) => {
      const go = () => {
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
