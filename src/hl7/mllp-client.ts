import { randomUUID } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { Failure } from '../kernel/errors.ts';
import { type Acknowledgement, commitAck, readAck } from './ack.ts';
import { frame, MllpFrameDecoder } from './mllp-frame.ts';

export interface MllpClientOptions {
  /** TCP connect and TLS handshake together. */
  readonly connectTimeoutMs?: number;
  /** From the last byte written to the whole ACK. A receiver that takes no byte for so long has had its time too. */
  readonly ackTimeoutMs?: number;
  /** Some receivers need a pause between two messages. */
  readonly minGapMs?: number;
  /** An unused connection is closed after this long and opened again when needed. */
  readonly idleMs?: number;
  /** CA, client certificate and key for mllps://; the server is always verified unless this says otherwise. */
  readonly tls?: tls.ConnectionOptions;
  /** Enhanced mode: CA says that the message is stored, and the answer that counts comes after it. */
  readonly applicationAck?: boolean;
}

export const CONNECT_TIMEOUT_MS = 10_000;
export const ACK_TIMEOUT_MS = 30_000;
export const CLIENT_IDLE_MS = 300_000;
/** After the first failure; doubled with each further one, plus up to a quarter by chance, so that many senders do not dial at once. */
export const BACKOFF_FIRST_MS = 50;
export const BACKOFF_MAX_MS = 10_000;

/**
 * Sends over one connection, one message in flight. Whatever goes wrong, the connection is destroyed before the caller
 * hears of it: a late ACK must never be taken for the answer to the next message. The caller sends the same bytes
 * again. A connection counts as good at its first ACK, not before: with TLS 1.3 a client whose certificate is refused
 * first sees a good handshake.
 */
export class MllpClient {
  private socket: net.Socket | null = null;
  private turn: Promise<unknown> = Promise.resolve();
  private failures = 0;
  private notBefore = 0;
  private closed = false;
  private idle: NodeJS.Timeout | undefined;

  constructor(
    /** `mllp://host:port` or `mllps://host:port`. */
    private readonly url: URL,
    private readonly options: MllpClientOptions = {},
  ) {}

  /**
   * Sends one message and gives its acknowledgement, whatever its code. `controlId` is the message's MSH-10.
   * Throws `hl7.connection`, `hl7.ack-timeout`, `hl7.ack-unreadable` or `hl7.ack-foreign`; all may pass with a later try.
   */
  send(bytes: Buffer, controlId: string): Promise<Acknowledgement> {
    const framed = frame(bytes);
    const result = this.turn.then(() => this.exchange(framed, controlId));
    this.turn = result.catch(() => {});
    return result;
  }

  /** Closes the connection; what is in flight fails with `hl7.connection`. */
  close(): void {
    this.closed = true;
    this.drop();
  }

  private async exchange(framed: Buffer, controlId: string): Promise<Acknowledgement> {
    clearTimeout(this.idle);
    const wait = this.notBefore - performance.now();
    if (wait > 0 && !this.closed) await new Promise((resolve) => setTimeout(resolve, wait));
    try {
      if (this.closed) throw connectionFailure('was closed here');
      if (this.socket?.destroyed) this.socket = null;
      this.socket ??= await this.connect();
      // It may have been closed while the connection opened: nothing leaves any more.
      if (this.closed) throw connectionFailure('was closed here');
      const acknowledgement = check(await this.answerTo(this.socket, framed), controlId);
      this.commit(acknowledgement);
      this.failures = 0;
      this.notBefore = performance.now() + (this.options.minGapMs ?? 0);
      this.watchIdle();
      return acknowledgement;
    } catch (error) {
      this.drop();
      const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures);
      this.failures += 1;
      this.notBefore = performance.now() + backoff * (1 + Math.random() / 4);
      throw error;
    }
  }

  private connect(): Promise<net.Socket> {
    const { url, options } = this;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port);
    const secure = url.protocol === 'mllps:';
    const socket = secure
      ? tls.connect({
          minVersion: 'TLSv1.2',
          servername: net.isIP(host) ? '' : host,
          ...options.tls,
          host,
          port,
        })
      : net.connect({ host, port });
    return new Promise((resolve, reject) => {
      const fail = (what: string) => {
        clearTimeout(timer);
        socket.destroy();
        reject(connectionFailure(what));
      };
      const timer = setTimeout(
        () => fail('did not open in time'),
        options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      );
      // Stays for the life of the socket: an error without a listener would end the process.
      socket.on('error', () => fail('could not be opened'));
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        socket.setNoDelay(true);
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        socket.once('close', () => {
          if (this.socket === socket) this.socket = null;
        });
        // Bytes while nothing is in flight answer nothing; the stream is out of step.
        socket.on('data', () => {
          if (socket.listenerCount('data') === 1) socket.destroy();
        });
        resolve(socket);
      });
    });
  }

  /** Writes one frame and waits for one. */
  private answerTo(socket: net.Socket, framed: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const decoder = new MllpFrameDecoder({ bytesMax: ACK_BYTES_MAX });
      let ended = false;
      let written = 0;
      const end = (settle: () => void) => {
        ended = true;
        clearTimeout(timer);
        socket.off('data', onData).off('close', onClose);
        // Who answers half a message has refused it, and the rest would be taken for noise before the next one.
        if (written < framed.length) socket.destroy();
        settle();
      };
      const onData = (chunk: Buffer) => {
        try {
          const answers = decoder.push(chunk);
          const counting = this.options.applicationAck ? answers.filter(isNoCommit) : answers;
          const [answer, more] = counting;
          if (more !== undefined)
            end(() => reject(new Failure('hl7.ack-unreadable', 'Two answers came to one message.')));
          else if (answer !== undefined) end(() => resolve(answer));
        } catch (error) {
          end(() => reject(error));
        }
      };
      const onClose = () => end(() => reject(connectionFailure('was closed before the acknowledgement')));
      const onTimeout = () => {
        socket.destroy();
        end(() =>
          reject(
            new Failure('hl7.ack-timeout', 'No acknowledgement came in time; the connection was closed.'),
          ),
        );
      };
      const timer = setTimeout(onTimeout, this.options.ackTimeoutMs ?? ACK_TIMEOUT_MS);
      // Piece by piece: over a slow line a large report takes longer than an answer may, and would never arrive.
      const write = (): void => {
        if (ended) return;
        timer.refresh();
        if (written === framed.length) return;
        const piece = framed.subarray(written, written + WRITE_BYTES);
        written += piece.length;
        socket.write(piece, write);
      };
      socket.on('data', onData).on('close', onClose);
      if (socket.destroyed) onClose();
      else write();
    });
  }

  /**
   * An application acknowledgement may itself ask for an accept acknowledgement by its MSH-15 (chapter 2.9.3.2). Whatever happens before its content is
   * stored, the message goes again with the same bytes: so the CA need not wait.
   */
  private commit(answer: Acknowledgement): void {
    if (!this.options.applicationAck) return;
    const commit = commitAck(answer.raw, {
      now: new Date(),
      controlId: `A${randomUUID().replaceAll('-', '').slice(0, 17)}`,
    });
    if (commit !== null) this.socket?.write(frame(commit));
  }

  private drop(): void {
    clearTimeout(this.idle);
    this.socket?.destroy();
    this.socket = null;
  }

  private watchIdle(): void {
    this.idle = setTimeout(() => this.drop(), this.options.idleMs ?? CLIENT_IDLE_MS);
    this.idle.unref();
  }
}

const KEEP_ALIVE_MS = 30_000;
/** A usual message is one write. In the usual time for an answer a line of 70 kbit/s takes this much. */
const WRITE_BYTES = 256 * 1024;
/** An ACK is a few hundred bytes; one with many ERR segments still fits. */
const ACK_BYTES_MAX = 256 * 1024;

function check(raw: Buffer, controlId: string): Acknowledgement {
  const acknowledgement = readAck(raw);
  if (acknowledgement === null) {
    throw new Failure(
      'hl7.ack-unreadable',
      'The answer has no MSA segment with a known code; the connection was closed.',
    );
  }
  if (acknowledgement.controlId !== controlId) {
    throw new Failure(
      'hl7.ack-foreign',
      'The answer names another message in MSA-2; the connection was closed.',
    );
  }
  return acknowledgement;
}

const isNoCommit = (answer: Buffer): boolean => readAck(answer)?.code !== 'CA';

function connectionFailure(what: string): Failure {
  return new Failure('hl7.connection', `The MLLP connection ${what}; it is tried again.`);
}
