import net from 'node:net';
import tls from 'node:tls';
import { ByteBudget } from './mllp/byte-budget.ts';
import { certificateNames } from './mllp/certificate-names.ts';
import { type ConnectionEvent, type ConnectionLimits, MllpConnection } from './mllp/connection.ts';

export type { ConnectionEvent } from './mllp/connection.ts';

/** Gives the answers to one message: one ACK, several (enhanced mode), or none. Must not throw for a bad message. */
export type MessageHandler = (message: Buffer, peer: string) => Promise<Buffer | readonly Buffer[]>;

export interface MllpServerOptions extends Partial<ConnectionLimits> {
  /** A named address; plain MLLP carries patient data in the clear. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly onMessage: MessageHandler;
  /** Makes it MLLP over TLS; `requestCert` and `rejectUnauthorized` make it mutual. */
  readonly tls?: tls.TlsOptions;
  /** Of client certificates that get in, in lower case, where they are asked for. Empty or left out: all that the authorities have signed. */
  readonly tlsNames?: readonly string[];
  readonly connectionsMax?: number;
  readonly connectionsPerAddressMax?: number;
  /** Bytes that all connections together may hold unanswered; beyond it large frames wait with their senders. */
  readonly unansweredBytesMax?: number;
  readonly onEvent?: (event: ConnectionEvent) => void;
}

/** One connection per sending interface is usual; far more are a leak or an attack. */
export const CONNECTIONS_MAX = 256;
/** So that one machine, or what stands in its place, cannot take them all. An interface engine opens one per interface. */
export const CONNECTIONS_PER_ADDRESS_MAX = 64;
/** Four of the largest frames: what has been read and not stored must not fill the memory, however many send at once. */
export const UNANSWERED_BYTES_MAX = 64 * 1024 * 1024;
/** A TLS client that does not finish its handshake by then is gone. */
export const HANDSHAKE_MS = 10_000;
/** An answer in the making gets this long when the server is closed. */
export const CLOSE_GRACE_MS = 5_000;

/**
 * Listens for MLLP. Per connection one message at a time, answered in order; reading stops meanwhile, so that a fast sender
 * waits in its own buffers. When the handler throws, the connection is closed without an answer and the sender keeps the message.
 */
export class MllpServer {
  private readonly server: net.Server;
  private readonly connections = new Set<MllpConnection>();
  private readonly budget: ByteBudget;
  /** Every TCP connection, those still in their TLS handshake too. */
  private readonly sockets = new Set<net.Socket>();

  constructor(private readonly options: MllpServerOptions) {
    this.budget = new ByteBudget(options.unansweredBytesMax ?? UNANSWERED_BYTES_MAX);
    const accept = (socket: net.Socket) => this.accept(socket);
    this.server =
      options.tls === undefined
        ? net.createServer({ allowHalfOpen: true }, accept)
        : tls.createServer(
            {
              minVersion: 'TLSv1.2',
              handshakeTimeout: HANDSHAKE_MS,
              ...options.tls,
            } as tls.TlsOptions,
            accept,
          );
    this.server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX;
    this.server.on('connection', (socket: net.Socket) => {
      const { remoteAddress } = socket;
      const ofAddress = [...this.sockets].filter((other) => other.remoteAddress === remoteAddress).length;
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
      if (ofAddress < (options.connectionsPerAddressMax ?? CONNECTIONS_PER_ADDRESS_MAX)) return;
      socket.destroy();
      this.options.onEvent?.({ kind: 'refused-connection', peer: remoteAddress ?? '', bytes: 0 });
    });
    this.server.on('drop', (data?: net.DropArgument) =>
      this.options.onEvent?.({ kind: 'refused-connection', peer: data?.remoteAddress ?? '', bytes: 0 }),
    );
    this.server.on('tlsClientError', (_error: Error, socket: tls.TLSSocket) =>
      this.options.onEvent?.({ kind: 'tls-failed', peer: socket.remoteAddress ?? '', bytes: 0 }),
    );
  }

  /** Starts listening; gives the port. Rejects when the address cannot be bound. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.options.port, this.options.host, () => {
        this.server.removeListener('error', reject);
        this.server.on('error', () => this.options.onEvent?.({ kind: 'listener-error', peer: '', bytes: 0 }));
        resolve((this.server.address() as net.AddressInfo).port);
      });
    });
  }

  get connectionCount(): number {
    return this.sockets.size;
  }

  /** Bytes read and not answered yet. */
  get unansweredBytes(): number {
    return this.budget.held;
  }

  /** New certificates for new connections; open ones go on. */
  reloadTls(options: tls.SecureContextOptions): void {
    if (this.server instanceof tls.Server) this.server.setSecureContext(options);
  }

  /** Stops listening; answers under way are still sent, within a grace time. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const connection of this.connections) connection.finish();
    const grace = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    clearTimeout(grace);
  }

  private accept(socket: net.Socket): void {
    if (!this.isExpected(socket)) {
      this.options.onEvent?.({ kind: 'tls-failed', peer: socket.remoteAddress ?? '', bytes: 0 });
      socket.on('error', () => undefined).destroy();
      return;
    }
    const connection = new MllpConnection(socket, this.options, this.budget);
    this.connections.add(connection);
    socket.once('close', () => this.connections.delete(connection));
  }

  /** An authority signs certificates for others too: a site may name those whose messages it wants. */
  private isExpected(socket: net.Socket): boolean {
    const { tlsNames = [] } = this.options;
    if (tlsNames.length === 0 || !(socket instanceof tls.TLSSocket)) return true;
    const names = certificateNames(socket.getPeerCertificate());
    return tlsNames.some((name) => names.has(name));
  }
}
