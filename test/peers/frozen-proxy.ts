import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

export interface FrozenProxy {
  readonly port: number;
  /** Connections that are open now; those to come go through. */
  freeze(): void;
  close(): void;
}

/** Stands between the server and its database or Redis. What is frozen gives no byte in either direction, and no end. */
export async function startProxy(to: NetConnectOpts): Promise<FrozenProxy> {
  const pairs: (readonly [Socket, Socket])[] = [];
  const server = createServer((near) => {
    const far = connect(to);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
    }
    near.pipe(far);
    far.pipe(near);
    pairs.push([near, far]);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    freeze: () => {
      for (const [near, far] of pairs.splice(0)) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    close: () => server.close(),
  };
}
