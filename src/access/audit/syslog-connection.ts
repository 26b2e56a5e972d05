import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** A repository that does not let us in by then is away. */
export const SYSLOG_CONNECT_MS_MAX = 10_000;
/** One that takes nothing for so long is away too. */
export const SYSLOG_WRITE_MS_MAX = 30_000;

/** One TLS connection to an audit record repository. Rejects when it is lost; then a new one is made. */
export class SyslogConnection {
  private lost: Error | null = null;

  private constructor(private readonly socket: TLSSocket) {
    socket.on('error', (error) => {
      this.lost ??= error;
    });
    socket.on('close', () => {
      this.lost ??= new Error('the connection was closed');
    });
    // Nothing is ever said to us; what comes is read, or the end of it would go unnoticed.
    socket.resume();
  }

  static open(options: ConnectionOptions): Promise<SyslogConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ minVersion: 'TLSv1.2', ...options });
      const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), SYSLOG_CONNECT_MS_MAX);
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        socket.off('error', reject);
        resolve(new SyslogConnection(socket));
      });
      socket.once('close', () => clearTimeout(timer));
    });
  }

  get isLost(): boolean {
    return this.lost !== null;
  }

  /** Resolves when the system has taken the bytes: nothing piles up in our memory. */
  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.lost) return reject(this.lost);
      const timer = setTimeout(() => this.socket.destroy(new Error('nothing is taken')), SYSLOG_WRITE_MS_MAX);
      this.socket.write(bytes, (error) => {
        clearTimeout(timer);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
