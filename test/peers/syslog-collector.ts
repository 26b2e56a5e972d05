import { once } from 'node:events';
import { createServer, type TLSSocket } from 'node:tls';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';

export interface SyslogCollector {
  readonly port: number;
  /** Whole messages, in the order in which they came. */
  readonly messages: string[];
  /** Cuts every connection; with `refuse` new ones too. */
  cut(refuse: boolean): void;
  /** Lets connections in again. */
  admit(): void;
  close(): Promise<void>;
}

/** An audit record repository: syslog over TLS (RFC 5425) with client certificates. Framing faults throw. */
export async function startSyslogCollector(): Promise<SyslogCollector> {
  const messages: string[] = [];
  const open = new Set<TLSSocket>();
  let refuses = false;
  const server = createServer(
    { ...TLS_SERVER, ca: TLS_CLIENT.cert, requestCert: true, rejectUnauthorized: true },
    (socket) => {
      if (refuses) {
        socket.destroy();
        return;
      }
      open.add(socket);
      let rest = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        for (;;) {
          const blank = rest.indexOf(0x20);
          if (blank === -1) return;
          const length = Number(rest.subarray(0, blank).toString('latin1'));
          if (!Number.isInteger(length) || length < 1) throw new Error('the frame has no length');
          if (rest.length < blank + 1 + length) return;
          messages.push(rest.subarray(blank + 1, blank + 1 + length).toString('utf8'));
          rest = rest.subarray(blank + 1 + length);
        }
      });
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
    },
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    messages,
    cut: (refuse) => {
      refuses = refuse;
      for (const socket of open) socket.destroy();
    },
    admit: () => {
      refuses = false;
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
